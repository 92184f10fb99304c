// What an answer means for its delivery, and when it is tried again. Time and chance are arguments.
import { expect, test } from 'vitest';
import { judge } from '../../../src/modules/webhooks/attempt.ts';
import { retryAfterMs, retryInMs } from '../../../src/modules/webhooks/schedule.ts';

const now_ms = Date.parse('2026-11-20T12:00:00Z');
const at = { started_ms: now_ms - 50, now_ms, random: 0.5 };
const endpoint = { id: 'e', url: 'https://example.com/', format: 'event' as const };

function judged(
  status_code: number,
  options: { attempts?: number; ordered?: true; retry_after?: string } = {},
) {
  const { attempts = 0, ordered, retry_after = null } = options;
  return judge(
    { id: 'd', attempts, endpoint: { ...endpoint, ordering: ordered ? 'ordered' : 'parallel' } },
    { kind: 'answered', status_code, answer: 'a\u0000b', retry_after, duration_ms: 50 },
    at,
  );
}

test('nine retries over three days, each spread by ten per cent either way', () => {
  const middle = Array.from({ length: 10 }, (_, index) => retryInMs(index + 1, 0.5));
  expect(middle.map((ms) => (ms === null ? null : ms / 1_000))).toEqual([
    5,
    300,
    1_800,
    7_200,
    18_000,
    36_000,
    50_400,
    72_000,
    86_400,
    null,
  ]);
  expect([retryInMs(1, 0), retryInMs(1, 1)]).toEqual([4_500, 5_500]);
});

test('Retry-After is seconds or a date, in the future, and a day at most', () => {
  const asked = [
    '120',
    'Fri, 20 Nov 2026 12:01:00 GMT',
    'Fri, 20 Nov 2026 11:00:00 GMT',
    '0',
    'soon',
    '999999999',
  ];
  expect(asked.map((header) => retryAfterMs(header, now_ms))).toEqual([
    120_000,
    60_000,
    null,
    null,
    null,
    86_400_000,
  ]);
  expect(retryAfterMs(null, now_ms)).toBe(null);
});

test('only 2xx succeeds', () => {
  const faults = [200, 204, 299, 300, 301, 307, 400, 404, 410, 429, 500, 503].map((status_code) => [
    status_code,
    judged(status_code).outcome.fault,
  ]);
  expect(Object.fromEntries(faults)).toEqual({
    200: null,
    204: null,
    299: null,
    300: 'redirect_refused',
    301: 'redirect_refused',
    307: 'redirect_refused',
    400: 'status_refused',
    404: 'status_refused',
    410: 'gone',
    429: 'status_refused',
    500: 'status_refused',
    503: 'status_refused',
  });
});

test('a failure waits for the schedule or for what was asked, whichever is later; an ordered endpoint rests as a whole', () => {
  const parallel = judged(503);
  expect([parallel.outcome.due_at, parallel.resting_until]).toEqual(['2026-11-20T12:00:05.000Z', null]);
  const asked = judged(503, { retry_after: '60' });
  expect([asked.outcome.due_at, asked.resting_until]).toEqual([
    '2026-11-20T12:01:00.000Z',
    '2026-11-20T12:01:00.000Z',
  ]);
  const ordered = judged(503, { ordered: true });
  expect([ordered.outcome.due_at, ordered.resting_until]).toEqual([null, '2026-11-20T12:00:05.000Z']);
});

test('the tenth failure is the last; what is answered 410 waits until its endpoint is enabled, whichever attempt it was', () => {
  expect(judged(500, { attempts: 8 }).outcome).toMatchObject({ number: 9, status: 'pending' });
  expect(judged(500, { attempts: 9 }).outcome).toMatchObject({ number: 10, status: 'failed' });
  const due_at = '2026-11-20T12:00:05.000Z';
  for (const attempts of [0, 9]) {
    const outcome = { number: attempts + 1, status: 'pending', due_at, fault: 'gone' };
    expect(judged(410, { attempts })).toMatchObject({ is_gone: true, outcome });
  }
});

test('what was answered is kept as far as Postgres keeps text', () => {
  expect(judged(500).outcome.answer).toBe('ab');
});
