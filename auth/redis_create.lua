-- Creates a key, completely or not at all.
-- KEYS: records, secrets, ids by creation, merchants
-- ARGV: record, id, hash of the secret in hex, creation in ms, merchant or '',
--       'first admin' if there must be no admin key yet, or ''
-- Returns 'done', also if this key is stored already; 'taken' if another key has
-- the hash or the id; 'late' if there is an admin key.
local kept = redis.call('HGET', KEYS[1], ARGV[2])
local owner = redis.call('HGET', KEYS[2], ARGV[3])
if kept == ARGV[1] and owner == ARGV[2] then
  return 'done'
end
if ARGV[6] == 'first admin' then
  -- Oldest first, because admin keys are usually old.
  local page, at = 100, 0
  repeat
    local ids = redis.call('ZRANGE', KEYS[3], at, at + page - 1)
    if #ids > 0 then
      for _, record in ipairs(redis.call('HMGET', KEYS[1], unpack(ids))) do
        if record and cjson.decode(record).kind == 'adm' then
          return 'late'
        end
      end
    end
    at = at + page
  until #ids < page
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
