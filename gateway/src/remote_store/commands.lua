-- Runs commands that change nothing, to learn which of them the server refuses. ARGV: a key, then the names of the commands.
-- Answers the refused ones, each with the reason.
local key = ARGV[1]
local harmless = {
  GET = { key },
  SET = { key, '', 'XX' },
  DEL = { key },
  EXISTS = { key },
  INCR = { key },
  TIME = {},
  ZADD = { key, 'XX', 0, 'x' },
  ZREM = { key, 'x' },
  ZCARD = { key },
  ZRANGEBYLEX = { key, '-', '+' },
  ZRANGEBYSCORE = { key, 0, 0 },
}
local refused = {}
for place = 2, #ARGV do
  local name = ARGV[place]
  local answer = redis.pcall(name, unpack(harmless[name]))
  if type(answer) == 'table' and answer.err then
    refused[#refused + 1] = name
    refused[#refused + 1] = answer.err
  end
  if name == 'INCR' then
    redis.pcall('DEL', key)
  end
end
return refused
