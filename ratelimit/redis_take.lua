-- Decides the charges of one ask, all or nothing, and holds its lease.
--
-- KEYS: the rates; then, if the ask touches leases, those.
-- ARGV: how many leases a refusal names; '1' to take over, how many leases the
-- ask tolerates; the lease's id or '', since when (ms), filter, record; then
-- of each charge 'rate', 'leases' or 'filters', the policy's name, its quota,
-- its window in µs, and how many.
-- Returns 1 or 0; of each charge five numbers: 1 if it is allowed, what is left,
-- µs until more is, µs until it may be allowed, 1 if it never may; then records
-- of leases: that which was taken over, or those in the way.
local id, filter = ARGV[4], ARGV[6]
local first, stride = 8, 5

local fields = {}
for a = first, #ARGV, stride do
  if ARGV[a] == 'rate' then
    fields[#fields + 1] = ARGV[a + 1]
    fields[#fields + 1] = ARGV[a + 1] .. '+'
  end
end
local stored = #fields > 0 and redis.call('HMGET', rates, unpack(fields)) or {}

-- How much is in use, and would be with the lease.
local used, would, victim = {}, {}, nil
if #KEYS > 1 then
  purge()
  local counts = redis.call('HMGET', held, '#', 'f:' .. filter)
  used.leases, used.filters = redis.call('ZCOUNT', leases, '(' .. ms, '+inf'), tonumber(counts[1] or 0)
  would.leases, would.filters = used.leases, used.filters
  if id ~= '' then
    local uses = tonumber(counts[2] or 0)
    if not redis.call('ZSCORE', leases, id) then would.leases = would.leases + 1 end
    if ARGV[2] == '1' and would.leases > math.max(tonumber(ARGV[3]), used.leases) then
      victim = redis.call('ZRANGE', order, 0, 0)[1]
    end
    if victim then
      would.leases = would.leases - 1
      local other = redis.call('HGET', held, 'u:' .. victim)
      if other == filter then uses = uses - 1 end
      if other and redis.call('HGET', held, 'f:' .. other) == '1' then would.filters = would.filters - 1 end
    end
    if filter ~= '' and uses == 0 then would.filters = would.filters + 1 end
  end
end

local reply, charged, allowed, busy, r = {1}, {}, true, false, 0
for a = first, #ARGV, stride do
  local kind, quota = ARGV[a], tonumber(ARGV[a + 2])
  local ok, left, more, future, never = nil, 0, 0, 0, 0
  if kind == 'rate' then
    local c = {name = ARGV[a + 1], quota = quota, window = tonumber(ARGV[a + 3]), reply = #reply}
    local n = tonumber(ARGV[a + 4])
    local stamp, part = tonumber(stored[r + 1] or 0), tonumber(stored[r + 2] or 0)
    local changed
    c.was, c.wasPart, changed = repair(stamp, part, c.window, us)
    if changed then
      local repaired = {}
      note(repaired, c.name, c.was, c.wasPart, part)
      redis.call('HSET', rates, unpack(repaired))
    end
    ok, c.at, c.part, left, more, future, never = arrive(c.was, c.wasPart, quota, c.window, us, n)
    if ok and n > 0 then charged[#charged + 1] = c end
    r = r + 2
  else
    ok, left = would[kind] <= math.max(used[kind], quota), math.max(0, quota - used[kind])
    busy = busy or not ok
  end
  allowed = allowed and ok
  local d = #reply
  reply[d + 1], reply[d + 2], reply[d + 3], reply[d + 4], reply[d + 5] = ok and 1 or 0, left, more, future, never
end

if not allowed then
  reply[1] = 0
  for _, c in ipairs(charged) do -- no charge was made: say what is left without it
    local _, _, _, left, more = arrive(c.was, c.wasPart, c.quota, c.window, us, 0)
    reply[c.reply + 2], reply[c.reply + 3] = left, more
  end
  if busy then append(reply, redis.call('ZRANGE', order, 0, ARGV[1] - 1)) end
  return reply
end

local last, written = us, {} -- at once: one command costs a replica less
for _, c in ipairs(charged) do
  note(written, c.name, c.at, c.part, c.wasPart)
  last = math.max(last, c.at)
end
if #charged > 0 then
  redis.call('HSET', rates, unpack(written))
  -- Longer than needed, so that few calls set it.
  local rest = math.ceil((last - us) / 1000) + 1
  if redis.call('PTTL', rates) < rest then redis.call('PEXPIRE', rates, rest + life) end
end
if id ~= '' then
  if victim then
    append(reply, {victim})
    finish({victim})
  end
  if not wasEnded(id) then -- this call may come late, after its lease was given back
    hold(id, ARGV[5], filter, ARGV[7])
    keep()
  end
  for a = first, #ARGV, stride do
    if ARGV[a] ~= 'rate' then
      reply[2 + a - first + 1] = math.max(0, tonumber(ARGV[a + 2]) - would[ARGV[a]])
    end
  end
end
return reply
