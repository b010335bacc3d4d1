#!lua
-- Appends events to one log, each once. The reply for each event is one of
-- "+<position without tag>" appended, "=<position>" a duplicate with the same
-- content, "!<position>" a duplicate with other content, "-<error>" refused.
--
-- KEYS: the log; its head; the duplicate buckets of the half windows b-2, b-1, b
-- and b+1, because the clocks of gateways differ; if an event is a state, also the
-- hash of states and the sorted set of their times. The first call creates the
-- missing keys and marks: while a slot moves, Redis answers a script that names a
-- missing key with TRYAGAIN until the move is over. Buckets expire, so a log that
-- was idle for longer than their life meets TRYAGAIN again.
--
-- ARGV: the events to retain, and for how many ms; b; the life of a bucket in ms;
-- the incarnation of the log if it is new; the states to retain, for how many ms,
-- and the life of their keys in ms. Then for each event: its key, its digest, its
-- tag, the values of the fields a and d, its state mark ('' none, 's' its data,
-- 'x' gone) and its state field.
local log, head, states, ages = KEYS[1], KEYS[2], KEYS[7], KEYS[8]
local events, age, b, life, inc = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local most_states, state_age, state_life = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local stride, first = 7, 9

-- Numbers of 64 bits are compared as text, by length first, because Lua's numbers
-- are exact to 53 bits only.
local function exceeds(x, y)
  if #x ~= #y then return #x > #y end
  return x > y
end
local function follows(id, last)
  local ms, seq = string.match(id, '^(%d+)%-(%d+)')
  local lms, lseq = string.match(last, '^(%d+)%-(%d+)')
  if ms ~= lms then return exceeds(ms, lms) end
  return exceeds(seq, lseq)
end

-- All stored values are read first: a value of another layout fails the script
-- before it writes anything.
local known = redis.call('HMGET', head, 'last', 'inc')
local last = known[1]
if not last then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  if newest and newest[2][1] == 'r' then
    last = newest[1] .. '-' .. newest[2][2]
  else
    last = '0-0-' .. (known[2] or inc)
  end
end

local tag = '%w%w%w%w%w$'
if not string.match(last, '^%d+%-%d+%-' .. tag) or known[2] and not string.match(known[2], '^' .. tag) then
  return redis.error_reply('DAMAGED its head is malformed')
end

local wanted = {''}
for a = first, #ARGV, stride do wanted[#wanted + 1] = ARGV[a] end
local taken, marks = {}, {}
for i = 1, 4 do
  local found = redis.call('HMGET', KEYS[2 + i], unpack(wanted))
  marks[i] = found[1]
  if found[1] == tostring(b + i - 3) then
    for n = 2, #found do
      if found[n] then taken[wanted[n]] = found[n] end
    end
  end
end

if states then
  redis.call('HLEN', states)
  redis.call('ZCARD', ages)
end

if not known[2] then redis.call('HSET', head, 'inc', inc) end
for i = 1, 4 do
  if not marks[i] then redis.call('HSET', KEYS[2 + i], '', '') end
end

local function add(a)
  return redis.pcall('XADD', log, '*', 'r', ARGV[a + 2], 'p', last, 'a', ARGV[a + 3], 'd', ARGV[a + 4],
    unpack(ARGV[a + 5] ~= '' and {'k', '1'} or {}))
end

-- Stores the state of the event at a, whose position is id.
local function store_state(a, id)
  local field, data = ARGV[a + 6], ARGV[a + 4]
  if ARGV[a + 5] == 'x' then
    redis.call('HDEL', states, field)
    redis.call('ZREM', ages, field)
    return
  end
  local position = id .. '-' .. ARGV[a + 2]
  local state = {#position, ':', position, ARGV[a + 3], #data, ':', data}
  redis.call('HSET', states, field, table.concat(state))
  redis.call('ZADD', ages, string.match(id, '^%d+'), field)
end
local states_changed = false

local reply, fresh = {}, {}
for a = first, #ARGV, stride do
  local key, digest = ARGV[a], ARGV[a + 1]
  local was = taken[key]
  if was then
    local same = string.sub(was, 1, #digest) == digest
    reply[#reply + 1] = (same and '=' or '!') .. string.sub(was, #digest + 1)
  else
    local id = add(a)
    if type(id) == 'string' and #fresh == 0 and not follows(id, last) then
      -- The log was deleted, but not its head: continue after the head.
      redis.call('XDEL', log, id)
      local stamp = string.match(last, '^%d+%-%d+')
      id = redis.pcall('XSETID', log, stamp)
      if not id.err then id = add(a) end
    end
    if type(id) == 'string' then
      last = id .. '-' .. ARGV[a + 2]
      taken[key] = digest .. last
      fresh[#fresh + 1] = key
      fresh[#fresh + 1] = taken[key]
      if ARGV[a + 5] ~= '' then
        store_state(a, id)
        states_changed = true
      end
      reply[#reply + 1] = '+' .. id
    else
      reply[#reply + 1] = '-' .. id.err
    end
  end
end

if #fresh == 0 then
  -- WAIT proves nothing without a write on its connection.
  redis.call('HINCRBY', head, 'asked', 1)
  return reply
end

redis.call('HSET', head, 'last', last)
local bucket = KEYS[5]
if marks[3] ~= tostring(b) then
  redis.call('UNLINK', bucket)
  redis.call('HSET', bucket, '', tostring(b))
  redis.call('PEXPIRE', bucket, life)
end
redis.call('HSET', bucket, unpack(fresh))
local oldest = tonumber(string.match(last, '^%d+')) - age
redis.call('XTRIM', log, 'MAXLEN', '~', events)
if oldest > 0 then
  redis.call('XTRIM', log, 'MINID', '~', string.format('%.0f', oldest))
end
if states_changed then
  -- The marks keep both keys in existence when no state is left.
  redis.call('HSET', states, '', '')
  redis.call('ZADD', ages, '+inf', '')
  local function drop(fields)
    if #fields > 0 then
      redis.call('HDEL', states, unpack(fields))
      redis.call('ZREM', ages, unpack(fields))
    end
  end
  local newest = tonumber(string.match(last, '^%d+'))
  drop(redis.call('ZRANGE', ages, '-inf', '(' .. string.format('%.0f', newest - state_age), 'BYSCORE', 'LIMIT', 0, 128))
  local over = redis.call('ZCARD', ages) - 1 - most_states
  if over > 0 then drop(redis.call('ZRANGE', ages, 0, math.min(over, 1000) - 1)) end
  redis.call('PEXPIRE', states, state_life)
  redis.call('PEXPIRE', ages, state_life)
end
return reply
