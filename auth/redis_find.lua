-- Finds a key by the hash of a secret.
-- KEYS: secrets, records, revoked, used
-- ARGV: hash in hex
-- Returns the record, the time of revocation or false, and the time of the last
-- use or false. Returns nothing if there is no such key.
local id = redis.call('HGET', KEYS[1], ARGV[1])
if not id then
  return {}
end
return {redis.call('HGET', KEYS[2], id), redis.call('HGET', KEYS[3], id), redis.call('HGET', KEYS[4], id)}
