"""The scripts by which jobs move inside Redis, each in one piece. `job_store` and `liveness` run them."""

from redis_bridge.store.retry_records import FINGERPRINT

RESERVE = """
-- KEYS: queue, records, slots.  ARGV: bytes.  Moves jobs into the slots, one each, until one job reaches the bytes.
-- Returns whether the queue has records, and the payloads.
local jobs, bytes = {}, 0
for index = 3, #KEYS do
  if bytes >= tonumber(ARGV[1]) then
    break
  end
  local job = redis.call('LMOVE', KEYS[1], KEYS[index], 'LEFT', 'RIGHT')
  if not job then
    break
  end
  jobs[#jobs + 1] = job
  bytes = bytes + #job
end
return {redis.call('EXISTS', KEYS[2]), jobs}
"""

ACK = """
-- KEYS: records, then slot and answer key of each job.  ARGV: seconds of an answer, then answer and fingerprint of
-- each job, the latter '' where it has no record.  Returns for each job: 1 acked; 0 answered, but its slot was
-- gone; -1 nothing done, as the answer key holds something that is not an answer.
local results = {}
for index = 1, (#KEYS - 1) / 2 do
  local slot, key = KEYS[2 * index], KEYS[2 * index + 1]
  local kind = redis.call('TYPE', key).ok
  if kind == 'none' or kind == 'string' then
    redis.call('SET', key, ARGV[2 * index], 'EX', ARGV[1])
    results[index] = redis.call('DEL', slot)
    if ARGV[2 * index + 1] ~= '' then
      redis.call('HDEL', KEYS[1], ARGV[2 * index + 1])
    end
  else
    results[index] = -1
  end
end
return results
"""

REQUEUE = """
-- KEYS: queue, records, slots.  ARGV: side of the queue, seconds of records, then fingerprint or '' and record of
-- each slot.  Moves every job of the slots to that side of the queue, one slot after the other, and returns how many.
local all = 0
for index = 3, #KEYS do
  local moved = 0
  while redis.call('EXISTS', KEYS[index]) == 1 do
    redis.call('LMOVE', KEYS[index], KEYS[1], 'RIGHT', ARGV[1])
    moved = moved + 1
  end
  local name = ARGV[2 * index - 3]
  if moved > 0 and name ~= '' then
    redis.call('HSET', KEYS[2], name, ARGV[2 * index - 2])
    redis.call('EXPIRE', KEYS[2], ARGV[2])
  end
  all = all + moved
end
return all
"""

REMEMBER = """
-- KEYS: records.  ARGV: fingerprint, record, seconds of records.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
"""

DEAD_LETTER = """
-- KEYS: slot, answer key, records, letters, letters seen.
-- ARGV: answer or '', its seconds, letter, letters kept, payloads kept, seconds kept, payload key prefix,
-- fingerprint, bytes of payloads kept.
-- Returns 1 dead-lettered, 2 dead-lettered and answered, 0 neither; then each letter whose job was dropped.
-- A slot that is gone was reclaimed: the bridge that has the job now answers it, perhaps better than we could. Or
-- this was done already, and only the response was lost.
local letter = string.sub(ARGV[3], 2)
local kind = redis.call('TYPE', KEYS[2]).ok
if redis.call('EXISTS', KEYS[1]) == 0 then
  for _, other in ipairs(redis.call('LRANGE', KEYS[4], 0, 99)) do
    if string.sub(other, -#letter) == letter then
      return {(ARGV[1] ~= '' and kind == 'string' and redis.call('GET', KEYS[2]) == ARGV[1]) and 2 or 1}
    end
  end
  return {0}
end
local is_answered = ARGV[1] ~= '' and (kind == 'none' or kind == 'string')
if is_answered then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
end
local number = redis.call('INCR', KEYS[5])
local payload = ARGV[7] .. (number % tonumber(ARGV[5]))
local result = {is_answered and 2 or 1}
if redis.call('EXISTS', payload) == 1 then
  result[2] = number - ARGV[5]
end
-- The letter first: where its key is not a list, nothing else has happened yet, and all of it is tried again.
redis.call('LPUSH', KEYS[4], '{"number":' .. number .. ',' .. letter)
redis.call('LTRIM', KEYS[4], 0, ARGV[4] - 1)
redis.call('EXPIRE', KEYS[4], ARGV[6])
redis.call('RENAME', KEYS[1], payload)
redis.call('EXPIRE', payload, ARGV[6])
redis.call('HDEL', KEYS[3], ARGV[8])
-- From the newest on. Others may write into the list, and a letter's own words cannot look like its size: their
-- quotes are escaped.
local kept_bytes = 0
for _, other in ipairs(redis.call('LRANGE', KEYS[4], 0, ARGV[5] - 1)) do
  local of = tonumber(string.match(other, '^{"number":(%d+),') or 0)
  local size_bytes = tonumber(string.match(other, '"size_bytes":(%d+)}$') or 0)
  local key = ARGV[7] .. (of % tonumber(ARGV[5]))
  if of > number - ARGV[5] and of <= number and redis.call('EXISTS', key) == 1 then
    kept_bytes = kept_bytes + size_bytes
    if kept_bytes > tonumber(ARGV[9]) then
      kept_bytes = kept_bytes - size_bytes
      redis.call('DEL', key)
      result[#result + 1] = of
    end
  end
end
return result
"""

ANNOUNCE = """
-- KEYS: the list of each client.  ARGV: seconds of a list, then the key of each answer.
-- A key that is not a list is left as it is, and a list without expiry gets none.
for index, list in ipairs(KEYS) do
  local kind = redis.call('TYPE', list).ok
  if kind == 'none' or kind == 'list' then
    local is_new = redis.call('RPUSH', list, ARGV[index + 1]) == 1
    if is_new or redis.call('TTL', list) ~= -1 then
      redis.call('EXPIRE', list, ARGV[1])
    end
  end
end
"""

BEGIN_TRIAL = """
-- KEYS: trial.  ARGV: slot, seconds.  The key holds the slots of all jobs on trial, one in a line.
local slots = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], (slots and slots .. '\\n' or '') .. ARGV[1], 'EX', ARGV[2])
"""

END_TRIAL = """
-- KEYS: trial.  ARGV: slot, seconds.
local others = {}
for slot in string.gmatch(redis.call('GET', KEYS[1]) or '', '[^\\n]+') do
  if slot ~= ARGV[1] then
    others[#others + 1] = slot
  end
end
if #others == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], table.concat(others, '\\n'), 'EX', ARGV[2])
end
"""

BEAT = """
-- KEYS: heartbeat, bridges.  ARGV: milliseconds of a heartbeat, bridge.  Returns all bridges, and the server's time.
redis.call('SET', KEYS[1], 'alive', 'PX', ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
return {redis.call('SMEMBERS', KEYS[2]), redis.call('TIME')}
"""

RECLAIM = (
    FINGERPRINT
    + """
-- KEYS: heartbeat and trial of the slot's bridge, slot, queue, records.
-- ARGV: Unix time for records, their seconds, what the server's clock should show, by how much it may differ.
-- Moves every job of a dead bridge's slot to the head of its queue, and returns how many. Each is a suspect from
-- then on. A job that was on trial alone in its bridge has failed an attempt. Jobs on trial are next tried apart.
-- Returns -1 when the clock was set: a heartbeat may have expired whose bridge lives.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
local now = redis.call('TIME')
if math.abs(now[1] + now[2] / 1000000 - ARGV[3]) > tonumber(ARGV[4]) then
  return -1
end
local is_on_trial, others = false, {}
for slot in string.gmatch(redis.call('GET', KEYS[2]) or '', '[^\\n]+') do
  if slot == KEYS[3] then
    is_on_trial = true
  else
    others[#others + 1] = slot
  end
end
local is_alone = is_on_trial and #others == 0
local moved = 0
while redis.call('EXISTS', KEYS[3]) == 1 do
  local job = redis.call('LMOVE', KEYS[3], KEYS[4], 'RIGHT', 'LEFT')
  local name = fingerprint(job)
  local attempts, first_s, rest = string.match(redis.call('HGET', KEYS[5], name) or '', '^(%d+) ([%d.]+)(.*)')
  attempts = tonumber(attempts or 0) + (is_alone and 1 or 0)
  local is_apart = is_on_trial or string.find(rest or '', ' apart', 1, true)
  local record = attempts .. ' ' .. (first_s or ARGV[1]) .. ' suspect' .. (is_apart and ' apart' or '')
  redis.call('HSET', KEYS[5], name, record)
  redis.call('EXPIRE', KEYS[5], ARGV[2])
  moved = moved + 1
end
if is_on_trial then
  -- That there were several is to be known when the next of them is moved.
  if #others == 0 or (#others == 1 and others[1] == 'several') then
    redis.call('DEL', KEYS[2])
  else
    if others[#others] ~= 'several' then
      others[#others + 1] = 'several'
    end
    redis.call('SET', KEYS[2], table.concat(others, '\\n'), 'EX', ARGV[2])
  end
end
return moved
"""
)
