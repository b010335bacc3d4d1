-- Stores when keys were last used, unless a later time is stored.
-- KEYS: used
-- ARGV: id and time in ms, for each key
for i = 1, #ARGV, 2 do
  local noted = redis.call('HGET', KEYS[1], ARGV[i])
  if not noted or tonumber(noted) < tonumber(ARGV[i + 1]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return 'done'
