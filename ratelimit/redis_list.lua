-- Reads the leases of one key.
-- KEYS: the leases. Returns their records.
return append({}, redis.call('ZRANGEBYSCORE', leases, '(' .. ms, '+inf'))
