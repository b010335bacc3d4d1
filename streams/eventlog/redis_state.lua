#!lua flags=no-writes
-- Reads a page of the states of one log, oldest first, and its head, at one
-- moment.
--
-- KEYS: the log, its head, the hash of states, the sorted set of their times.
-- ARGV: the first time in ms; the maximum number of states; about how many bytes.
-- Returns the states; '1' if there are more; the time of the last one; the head as
-- redis_read.lua returns it; and this node's time in ms, which ends old states.
local log, head, states, ages = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local count, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', head, 'inc', 'last')
local newest = {}
if not known[2] then
  newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
end

-- One state more than asked for shows whether there are more. The range leaves out
-- the mark, whose time is +inf.
local found = redis.call('ZRANGE', ages, ARGV[1], '(inf', 'BYSCORE', 'LIMIT', 0, count + 1, 'WITHSCORES')
local page, last, read = {}, '', 0
for i = 1, math.min(#found / 2, count) do
  local value = redis.call('HGET', states, found[2 * i - 1])
  if value then
    page[#page + 1] = value
    room = room - #value
  end
  last, read = found[2 * i], i
  if room < 0 then break end
end
local more = (#found > 2 * read) and '1' or ''
local now = redis.call('TIME')
return {page, more, last, known[1] or '', known[2] or '', newest, now[1] * 1000 + math.floor(now[2] / 1000)}
