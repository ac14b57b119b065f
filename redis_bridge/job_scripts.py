"""The scripts by which jobs move inside Redis, each in one piece. Text only; `jobs.py` and `presence.py` run them."""

from redis_bridge.attempts import FINGERPRINT

TAKE = """
-- KEYS: queue, records, slots.  ARGV: bytes.  Moves jobs into the slots, one each, until one job reaches the bytes.
-- Answers whether the queue has records, and the jobs' texts.
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

SETTLE = """
-- KEYS: records, then slot and answer key of each job.  ARGV: seconds of an answer, then answer and fingerprint of
-- each job, the latter '' where it has no record.  Answers for each job: 1 settled; 0 answered, but its slot was
-- gone; -1 nothing done, as the answer key holds something that is no answer.
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

GIVE_BACK = """
-- KEYS: slot, queue, records.  ARGV: fingerprint or '', record, seconds of records.
-- Moves every job of the slot to the head of its queue, and answers how many.
local moved = 0
while redis.call('EXISTS', KEYS[1]) == 1 do
  redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')
  moved = moved + 1
end
if moved > 0 and ARGV[1] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
end
return moved
"""

BURY = """
-- KEYS: slot, answer key, records, letters, letters seen.
-- ARGV: answer or '', its seconds, letter, letters kept, payloads kept, seconds kept, payload key prefix,
-- fingerprint.
-- A slot that is gone was taken over: whoever has the job now answers it, perhaps better than we could.
if redis.call('EXISTS', KEYS[1]) == 1 then
  local kind = redis.call('TYPE', KEYS[2]).ok
  if ARGV[1] ~= '' and (kind == 'none' or kind == 'string') then
    redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
  end
  local number = redis.call('INCR', KEYS[5])
  local payload = ARGV[7] .. (number % tonumber(ARGV[5]))
  redis.call('RENAME', KEYS[1], payload)
  redis.call('EXPIRE', payload, ARGV[6])
  redis.call('LPUSH', KEYS[4], '{"number":' .. number .. ',' .. string.sub(ARGV[3], 2))
  redis.call('LTRIM', KEYS[4], 0, ARGV[4] - 1)
  redis.call('EXPIRE', KEYS[4], ARGV[6])
  redis.call('HDEL', KEYS[3], ARGV[8])
end
"""

ANNOUNCE = """
-- KEYS: the list of each client.  ARGV: seconds of a list, then the key of each answer.
-- A key that is no list is left as it is, and a list that somebody keeps without expiry keeps none.
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

TAKE_OVER = (
    FINGERPRINT
    + """
-- KEYS: heartbeat and trial of the slot's bridge, slot, queue, records.  ARGV: Unix time, seconds of records.
-- Moves every job of a dead bridge's slot to the head of its queue, and answers how many. Each is a suspect from then
-- on; only a job that was on trial, alone in its bridge, has had a try.
local moved = 0
if redis.call('EXISTS', KEYS[1]) == 0 then
  local is_on_trial = redis.call('GET', KEYS[2]) == KEYS[3]
  while redis.call('EXISTS', KEYS[3]) == 1 do
    local job = redis.call('LMOVE', KEYS[3], KEYS[4], 'RIGHT', 'LEFT')
    local name = fingerprint(job)
    local tries, first_s = string.match(redis.call('HGET', KEYS[5], name) or '', '^(%d+) ([%d.]+)')
    tries = tonumber(tries or 0) + (is_on_trial and 1 or 0)
    redis.call('HSET', KEYS[5], name, tries .. ' ' .. (first_s or ARGV[1]) .. ' suspect')
    redis.call('EXPIRE', KEYS[5], ARGV[2])
    moved = moved + 1
  end
  if is_on_trial then
    redis.call('DEL', KEYS[2])
  end
end
return moved
"""
)
