-- Adds a merchant. All scores are 0, so that names are in byte order.
-- KEYS: merchants
-- ARGV: name
redis.call('ZADD', KEYS[1], 0, ARGV[1])
return 'done'
