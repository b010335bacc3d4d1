-- Marks a key as revoked; the first time stays. The record is not rewritten.
-- KEYS: the key's own hash
-- ARGV: now in ms
-- Returns the record and the time of revocation, or false if there is no record.
local record = redis.call('HGET', KEYS[1], 'record')
if not record then
  return false
end
redis.call('HSETNX', KEYS[1], 'revoked', ARGV[1])
return {record, redis.call('HGET', KEYS[1], 'revoked')}
