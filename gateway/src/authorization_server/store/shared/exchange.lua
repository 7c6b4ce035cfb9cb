-- One question of a gateway to the store: are these rows so, and if they are, change those. The arguments are read one after the other.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function take_number()
  return tonumber(take())
end

-- A change that was sent twice because its answer got lost is made once.
local mark, mark_ms = take(), take()
if mark ~= '' and redis.call('EXISTS', mark) == 1 then
  return {}
end

-- Rows: key, 1 and the row, or 0.
local is_other = false
local rows = {}
for number = 1, take_number() do
  local key = take()
  local expected = take() == '1' and take()
  local found = redis.call('GET', key)
  if found ~= expected then
    is_other = true
    rows[#rows + 1] = number - 1
    rows[#rows + 1] = found
  end
end

-- The keys in a range of an index, and their rows: index, beginning of the keys of rows (none where rows are empty), bounds, most.
local function take_range()
  local index, beginning = take(), take()
  local first, last, most = take(), take(), take()
  return redis.call('ZRANGEBYLEX', index, first, last, 'LIMIT', 0, most), beginning
end
local function with_rows(keys, beginning)
  local found = {}
  for _, key in ipairs(keys) do
    found[#found + 1] = key
    found[#found + 1] = beginning == '' and '' or redis.call('GET', beginning .. key)
  end
  return found
end

-- Ranges that have to have these keys.
local same = {}
for number = 1, take_number() do
  local keys, beginning = take_range()
  local is_same = true
  local count = take_number()
  if count ~= #keys then
    is_same = false
  end
  for place = 1, count do
    if take() ~= keys[place] then
      is_same = false
    end
  end
  if not is_same then
    is_other = true
    same[#same + 1] = number - 1
    same[#same + 1] = with_rows(keys, beginning)
  end
end

-- Ranges and counts that are wanted.
local ranges = {}
for number = 1, take_number() do
  is_other = true
  ranges[number] = with_rows(take_range())
end
local counts = {}
for number = 1, take_number() do
  is_other = true
  counts[number] = redis.call('ZCARD', take())
end
if is_other then
  return { rows, same, ranges, counts }
end

-- Changes. What the server may refuse when it is full comes first, so that it refuses all or nothing.
if mark ~= '' then
  redis.call('SET', mark, '', 'PX', mark_ms)
end
for _ = 1, take_number() do
  local what = take()
  if what == 'row' then
    redis.call('SET', take(), take())
  elseif what == 'row until' then
    redis.call('SET', take(), take(), 'PXAT', take())
  elseif what == 'no row' then
    redis.call('DEL', take())
  elseif what == 'key' then
    redis.call('ZADD', take(), 0, take())
  elseif what == 'no key' then
    redis.call('ZREM', take(), take())
  elseif what == 'event' then
    local log, counter, key = take(), take(), take()
    -- A counter that was lost begins again with the time: no number comes twice.
    if redis.call('EXISTS', counter) == 0 then
      local clock = redis.call('TIME')
      redis.call('SET', counter, string.format('%.0f', clock[1] * 1000000 + clock[2]))
    end
    redis.call('ZADD', log, redis.call('INCR', counter), key)
  end
end
return {}
