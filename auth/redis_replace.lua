-- Replaces a record by its next revision, under the same rules as replaces in
-- record.go.
-- KEYS: records, secrets, revoked
-- ARGV: record, id, revision, hash of the secret in hex,
--       hash of the former secret or ''
-- Returns 'done', also if this record is stored already; 'unknown'; 'revoked';
-- 'conflict'; or 'taken' if another key has the hash.
local kept = redis.call('HGET', KEYS[1], ARGV[2])
if not kept then
  return 'unknown'
end
if redis.call('HEXISTS', KEYS[3], ARGV[2]) == 1 then
  return 'revoked'
end
if kept == ARGV[1] then
  return 'done'
end
kept = cjson.decode(kept)
if kept.rev ~= ARGV[3] - 1 then
  return 'conflict'
end
local owner = redis.call('HGET', KEYS[2], ARGV[4])
if owner and owner ~= ARGV[2] then
  return 'taken'
end
redis.call('HDEL', KEYS[2], kept.secret, kept.former or kept.secret)
redis.call('HSET', KEYS[2], ARGV[4], ARGV[2])
if ARGV[5] ~= '' then
  redis.call('HSET', KEYS[2], ARGV[5], ARGV[2])
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[1])
return 'done'
