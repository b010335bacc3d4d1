#!lua flags=no-writes
-- Reads a part of one log and its ends, at one moment.
--
-- KEYS: the log, its head.
-- ARGV: the first position, without tag; the maximum number of entries, or 0 for
-- the ends alone.
-- Returns the entries; from the head, the incarnation and the last position, or
-- ''; the oldest entry; the newest entry if the head has no last position.
local log, head = KEYS[1], KEYS[2]
local entries = {}
if ARGV[2] ~= '0' then
  entries = redis.call('XRANGE', log, ARGV[1], '+', 'COUNT', ARGV[2])
end
local known = redis.call('HMGET', head, 'inc', 'last')
local newest = {}
if not known[2] then
  newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
end
return {
  entries, known[1] or '', known[2] or '',
  redis.call('XRANGE', log, '-', '+', 'COUNT', 1), newest,
}
