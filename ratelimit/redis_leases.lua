-- The leases of one key. KEYS end with four of the same slot:
--   leases, a sorted set: id → when it expires (ms)
--   order, a sorted set: id → when it began (ms)
--   held, a hash: 'l:<id>' → record, 'u:<id>' → its filter,
--     'f:<filter>' → how many leases use it, '#' → how many filters there are
--   ended, a sorted set: id → when to forget that it was ended (ms)
-- life, freshLife and endedLife (ms) are set above.
local leases, order, held, ended = unpack(KEYS, #KEYS - 3)
local purgeMost = 200 -- in one call, because it holds up all others

local function releaseFilter(filter)
  if filter and filter ~= '' and redis.call('HINCRBY', held, 'f:' .. filter, -1) <= 0 then
    redis.call('HDEL', held, 'f:' .. filter)
    redis.call('HINCRBY', held, '#', -1)
  end
end

local function drop(id)
  redis.call('ZREM', order, id)
  if redis.call('ZREM', leases, id) == 1 then
    releaseFilter(redis.call('HGET', held, 'u:' .. id))
  end
  redis.call('HDEL', held, 'l:' .. id, 'u:' .. id)
end

local function purge()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', ms, 'LIMIT', 0, purgeMost)) do
    drop(id)
  end
  -- After the clock was set back, a lease must not outlive its gateway for longer
  -- than before.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', leases, '(' .. ms + life, '+inf', 'LIMIT', 0, purgeMost)) do
    redis.call('ZADD', leases, ms + life, id)
  end
end

local function hold(id, since, filter, record)
  if redis.call('ZADD', leases, ms + life, id) == 1 then
    redis.call('ZADD', order, since, id)
  end
  local was = redis.call('HGET', held, 'u:' .. id)
  if was ~= filter then
    releaseFilter(was)
    if filter ~= '' and redis.call('HINCRBY', held, 'f:' .. filter, 1) == 1 then
      redis.call('HINCRBY', held, '#', 1)
    end
  end
  redis.call('HSET', held, 'l:' .. id, record, 'u:' .. id, filter)
end

-- The state of a key expires some time after its last lease. The time is longer
-- than needed, so that few calls set it.
local function keep()
  if redis.call('PTTL', leases) < life then
    redis.call('PEXPIRE', leases, 2 * life)
    redis.call('PEXPIRE', order, 2 * life)
    redis.call('PEXPIRE', held, 2 * life)
  end
end

local function wasEnded(id)
  local expiry = redis.call('ZSCORE', ended, id)
  return expiry and tonumber(expiry) > ms
end

local function finish(ids)
  redis.call('ZREMRANGEBYSCORE', ended, '-inf', ms)
  for _, id in ipairs(ids) do
    drop(id)
    redis.call('ZADD', ended, ms + endedLife, id)
  end
  redis.call('PEXPIRE', ended, endedLife)
end

-- Adds to a list the records of leases.
local function append(list, ids)
  for _, id in ipairs(ids) do
    local record = redis.call('HGET', held, 'l:' .. id)
    if record then list[#list + 1] = record end
  end
  return list
end
