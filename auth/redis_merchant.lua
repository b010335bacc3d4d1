-- Makes a merchant exist. All have the score 0, so that names order by bytes.
-- KEYS: merchants
-- ARGV: name
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 'done'
