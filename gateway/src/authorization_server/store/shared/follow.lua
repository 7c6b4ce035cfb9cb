-- What is new in a log since the entry with this number, how many rows tables have, and the name of the store.
-- ARGV: log, its counter, beginning of the keys of its rows, number, most entries, the key of the name, a name for a store that has
-- none, then an index for each count.
local log, counter, beginning, last, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local entries = {}
local found = redis.call('ZRANGEBYSCORE', log, '(' .. last, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
for place = 1, #found, 2 do
  entries[#entries + 1] = found[place]
  entries[#entries + 1] = redis.call('GET', beginning .. found[place])
  last = found[place + 1]
end
local name = redis.call('GET', ARGV[6])
if not name then
  -- A server that is full, or a replica, refuses it. Then there is no name for now.
  redis.pcall('SET', ARGV[6], ARGV[7])
  name = redis.call('GET', ARGV[6])
end
local counts = {}
for place = 8, #ARGV do
  counts[#counts + 1] = redis.call('ZCARD', ARGV[place])
end
return { redis.call('GET', counter) or '0', last, entries, counts, name }
