-- Keeps a key, all of it or nothing.
-- KEYS: the key's own hash, index by creation, ids, merchants
-- ARGV: record, id, hash of the secret in hex, creation in ms, merchant or ''
-- Returns 1, or 0 if the hash or the id is there already.
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('HSETNX', KEYS[3], ARGV[2], ARGV[3]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'record', ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[2])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[4], 0, ARGV[5])
end
return 1
