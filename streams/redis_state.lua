#!lua flags=no-writes
-- Reads the states of one log and its head, at one moment.
--
-- KEYS: the log, its head, its states.
local log, head, states = KEYS[1], KEYS[2], KEYS[3]
local known = redis.call('HMGET', head, 'inc', 'last')
local newest = {}
if not known[2] then
  newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
end
return {redis.call('HVALS', states), known[1] or '', known[2] or '', newest}
