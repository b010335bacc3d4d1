-- Undoes what the take script allowed, for another ask of the same call was
-- refused.
--
-- KEYS: the rates, and the leases. ARGV: the lease's id or ''; the id, since,
-- filter and record of the one that it took the place of, or ''; then the
-- charges, as there.
-- Returns of each charge what is left and µs until more is.
local first, stride = 6, 5

if ARGV[1] ~= '' then drop(ARGV[1]) end
if ARGV[2] ~= '' then
  redis.call('ZREM', ended, ARGV[2])
  hold(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
  keep()
end

local reply = {}
for a = first, #ARGV, stride do
  local kind, quota = ARGV[a], tonumber(ARGV[a + 2])
  local left, more = 0, 0
  if kind == 'rate' then
    local name, window, n = ARGV[a + 1], tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
    local stored = redis.call('HMGET', rates, name, name .. '+')
    local at, wasPart = tonumber(stored[1] or 0), tonumber(stored[2] or 0)
    local part = wasPart
    if at > 0 and n > 0 then
      at, part = at - math.floor(n * window / quota), part - n * window % quota
      if part < 0 then at, part = at - 1, part + quota end
      local written = {}
      note(written, name, at, part, wasPart)
      redis.call('HSET', rates, unpack(written))
    end
    local _
    _, _, _, left, more = arrive(at, part, quota, window, us, 0)
  elseif kind == 'leases' then
    left = math.max(0, quota - redis.call('ZCOUNT', leases, '(' .. ms, '+inf'))
  else
    left = math.max(0, quota - tonumber(redis.call('HGET', held, '#') or 0))
  end
  reply[#reply + 1] = left
  reply[#reply + 1] = more
end
return reply
