-- What is new in a log since the entry with this number, and how many rows tables have.
-- ARGV: log, its counter, beginning of the keys of its rows, number, most entries, then an index for each count.
local log, counter, beginning, last, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local entries = {}
local found = redis.call('ZRANGEBYSCORE', log, '(' .. last, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
for place = 1, #found, 2 do
  entries[#entries + 1] = found[place]
  entries[#entries + 1] = redis.call('GET', beginning .. found[place])
  last = found[place + 1]
end
local counts = {}
for place = 6, #ARGV do
  counts[#counts + 1] = redis.call('ZCARD', ARGV[place])
end
return { redis.call('GET', counter) or '0', last, entries, counts }
