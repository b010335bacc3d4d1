-- Keeps a key, all of it or nothing.
-- KEYS: records, secrets, ids by creation, merchants
-- ARGV: record, id, hash of the secret in hex, creation in ms, merchant or '',
--       'first' if there must be no other key, or ''
-- Returns 'done', also if this very key is there; 'taken' if the hash or the id
-- is another's; 'late' if there is another key.
local kept = redis.call('HGET', KEYS[1], ARGV[2])
local owner = redis.call('HGET', KEYS[2], ARGV[3])
if kept == ARGV[1] and owner == ARGV[2] then
  return 'done'
end
if ARGV[6] == 'first' and redis.call('ZCARD', KEYS[3]) > 0 then
  return 'late'
end
if kept or owner then
  return 'taken'
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[4], 0, ARGV[5])
end
return 'done'
