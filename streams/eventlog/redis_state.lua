#!lua flags=no-writes
-- Reads a page of the states of one log, oldest first, and its head, at one
-- moment.
--
-- KEYS: the log, its head, its states, the order of their positions. ARGV: the
-- time in ms from which on; how many states at most; how many bytes, about.
-- Returns the states; whether there are more; the time of the last one; and of
-- the head what redis_read.lua returns.
local log, head, states, ages = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local count, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('HMGET', head, 'inc', 'last')
local newest = {}
if not known[2] then
  newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
end

-- One more than asked for tells whether there are more. The mark is infinitely
-- young and not among them.
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
return {page, more, last, known[1] or '', known[2] or '', newest}
