-- Takes calls from several token buckets, or from none: when each is full again is its value, in microseconds of this server's clock.
-- ARGV: for each bucket its key, the time in which one call comes back, how many calls it holds, and the most calls to take.
-- Answers -1 and how many calls were taken from each; or the place of an empty bucket and the time until it has a call again.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local taken, full = { -1 }, {}
for place = 1, #ARGV / 4 do
  local first = place * 4 - 3
  local interval, burst, wanted = tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local from = math.max(tonumber(redis.call('GET', ARGV[first]) or '0'), now)
  local free = math.floor((now + interval * burst - from) / interval)
  if free < 1 then
    return { place - 1, math.ceil(from + interval - now - interval * burst) }
  end
  local count = math.min(free, wanted)
  taken[place + 1] = count
  full[place] = from + interval * count
end
for place, at in ipairs(full) do
  redis.call('SET', ARGV[place * 4 - 3], string.format('%.0f', at), 'PX', math.ceil((at - now) / 1000) + 1000)
end
return taken
