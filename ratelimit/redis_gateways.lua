-- Says that a gateway is alive, and counts those that are.
-- KEYS: a sorted set, gateway → until when it counts (ms). ARGV: the gateway.
redis.call('ZADD', KEYS[1], ms + life, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. ms + life, '+inf')
redis.call('PEXPIRE', KEYS[1], life)
return redis.call('ZCARD', KEYS[1])
