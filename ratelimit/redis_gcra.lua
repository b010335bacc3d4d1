-- The Generic Cell Rate Algorithm. It equals arrive in gcra.go on every input.
-- Everything is a number.
-- Returns whether n cells may pass, the bucket after them, how many more may pass
-- now, µs until that grows, µs until these may pass, and 1 if they never may.
local function arrive(at, part, quota, window, now, n)
  if quota < 1 then return n == 0, at, part, 0, 0, 0, n > 0 and 1 or 0 end
  local room, backlog, ahead = quota * window, 0, at - now
  if ahead >= window then
    backlog = room
  elseif ahead >= 0 then
    backlog = ahead * quota + math.min(part, quota - 1) -- the quota may be another now
  end

  local ok, future, never = false, 0, 0
  if n > quota then
    never = 1
  elseif backlog + n * window > room then
    future = math.ceil((backlog + n * window - room) / quota)
  else
    ok = true
    backlog = backlog + n * window
    at, part = now + math.floor(backlog / quota), backlog % quota
  end
  local left, more = math.floor((room - backlog) / window), 0
  if left < quota then
    more = math.ceil((backlog - (quota - left - 1) * window) / quota)
  end
  return ok, at, part, left, more, future, never
end

-- Returns a possible bucket, and whether it is another one; see repair there.
local function repair(at, part, window, now)
  local ahead = at - now
  if ahead > window or ahead == window and part > 0 then return now + window, 0, true end
  return at, part, false
end
