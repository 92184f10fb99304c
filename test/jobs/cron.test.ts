// When schedules come round, by the clocks of the world.
import { expect, test } from 'vitest';
import { cronFault, isTimeZone, maybeNext } from '../../src/jobs/cron.ts';

function comesRound(cron: string, time_zone: string, after: string, times: number): (string | undefined)[] {
  const found: (string | undefined)[] = [];
  let at: Date | null = new Date(after);
  for (let count = 0; count < times && at !== null; count += 1) {
    at = maybeNext(cron, time_zone, at);
    found.push(at?.toISOString().slice(0, 16));
  }
  return found;
}

test('after an instant, never at it', () => {
  expect(comesRound('* * * * *', 'UTC', '2026-11-21T12:00:00Z', 2)).toEqual([
    '2026-11-21T12:01',
    '2026-11-21T12:02',
  ]);
  expect(comesRound('30 2 * * 1-5', 'UTC', '2026-11-20T02:30:00Z', 2)).toEqual([
    '2026-11-23T02:30',
    '2026-11-24T02:30',
  ]);
});

test('by the clock of its zone, in summer and in winter', () => {
  expect(comesRound('0 9 1 * *', 'Europe/Berlin', '2026-06-15T00:00:00Z', 5)).toEqual([
    '2026-07-01T07:00',
    '2026-08-01T07:00',
    '2026-09-01T07:00',
    '2026-10-01T07:00',
    '2026-11-01T08:00',
  ]);
  // Half and quarter hours from UTC.
  expect(comesRound('0 0 * * *', 'Asia/Kolkata', '2026-11-21T12:00:00Z', 1)).toEqual(['2026-11-21T18:30']);
  expect(comesRound('0 0 * * *', 'Asia/Kathmandu', '2026-11-21T12:00:00Z', 1)).toEqual(['2026-11-21T18:15']);
});

test('what falls into the hour that is missing comes at the change, once', () => {
  // 2026-03-29: 02:00 becomes 03:00.
  expect(comesRound('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00:00Z', 3)).toEqual([
    '2026-03-28T01:30',
    '2026-03-29T01:00',
    '2026-03-30T00:30',
  ]);
});

test('the hour that comes twice has all its minutes twice', () => {
  // 2026-10-25: 03:00 becomes 02:00.
  expect(comesRound('0,30 2 * * *', 'Europe/Berlin', '2026-10-25T00:00:00Z', 4)).toEqual([
    '2026-10-25T00:30',
    '2026-10-25T01:00',
    '2026-10-25T01:30',
    '2026-10-26T01:00',
  ]);
});

test('a leap day is waited for, and what never comes is refused', () => {
  expect(comesRound('0 0 29 2 *', 'UTC', '2026-03-01T00:00:00Z', 1)).toEqual(['2028-02-29T00:00']);
  expect(maybeNext('0 0 30 2 *', 'UTC', new Date('2026-01-01T00:00:00Z'))).toBeNull();
  expect(cronFault('0 0 30 2 *')).toBe('it never comes round');
});

test('what is no cron text or no zone is told from what is one', () => {
  expect(cronFault('*/5 8-18 * * 1-5')).toBeNull();
  for (const wrong of ['', '* * * *', '60 * * * *', 'every day', '@daily', '* * * * * *', '5-1 * * * *']) {
    expect(cronFault(wrong), wrong).not.toBeNull();
  }
  expect(isTimeZone('Europe/Berlin')).toBe(true);
  expect(isTimeZone('Mars/Olympus')).toBe(false);
});
