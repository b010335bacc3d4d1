-- Marks a key as revoked, without a change to its record. The first time stays.
-- KEYS: records, revoked, used
-- ARGV: id, now in ms
-- Returns the record, the time of revocation, and the time of the last use or
-- false. Returns nothing if there is no record.
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then
  return {}
end
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
return {record, redis.call('HGET', KEYS[2], ARGV[1]), redis.call('HGET', KEYS[3], ARGV[1])}
