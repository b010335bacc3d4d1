-- Notes that a gateway is alive, and counts the live ones.
-- KEYS: a sorted set, gateway → when it stops counting (ms). ARGV: the gateway.
redis.call('ZADD', KEYS[1], ms + life, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. ms + life, '+inf')
redis.call('PEXPIRE', KEYS[1], life)
return redis.call('ZCARD', KEYS[1])
