// Failed logins are counted by address. Nobody is refused a valid key for what others do from the same address.
import { expect, test } from 'vitest';
import { networkOf, RateLimiter } from '../../src/http/rate_limit.ts';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { refusal } from './problems.ts';

const unknown_key = 'lk_test_01h455vb4pex5vsknk084sn02q_ffffffffffffffffffffffffffffffffffffffffff';

test('an address that goes on to send keys that are not valid is answered 429, and valid keys from it are let in', async () => {
  const server = await startServer({ FAILED_LOGINS_PER_MINUTE: '5' });
  const { api_key } = await aTenant();
  const stranger = server.client(unknown_key);
  const answers = [];
  const began_ms = performance.now();
  for (let i = 0; i < 8; i += 1) answers.push(await stranger.get('/v1/me'));
  const took_s = (performance.now() - began_ms) / 1_000;
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
  const [first] = answers;
  expect(first?.headers.get('ratelimit-policy')).toBe('"failed-logins";q=5;w=60');
  expect(first?.headers.get('ratelimit')).toBe('"failed-logins";r=4;t=60');
  const last = answers[7];
  expect(refusal({ body: last?.body })).toBe('429 rate_limited');
  expect(last?.headers.get('ratelimit-policy')).toBe('"failed-logins";q=5;w=60');
  // Twelve seconds for each login, less what these took.
  const wait_s = Number(last?.headers.get('retry-after'));
  expect(wait_s).toBeLessThanOrEqual(12);
  expect(wait_s).toBeGreaterThanOrEqual(12 - took_s);
  expect(last?.headers.get('ratelimit')).toBe(`"failed-logins";r=0;t=${wait_s}`);
  // A key that this process has not seen before, and one with another secret.
  const api = server.client(api_key);
  expect([(await api.get('/v1/me')).status, (await api.get('/v1/me')).status]).toEqual([200, 200]);
  expect((await server.client(`${api_key.slice(0, -1)}!`).get('/v1/me')).status).toBe(429);
  expect((await api.get('/v1/me')).headers.get('ratelimit-policy')).toBe(null);
  expect((await stranger.post('/v1/accounts', {})).status).toBe(429);
  expect((await server.client(null).get('/v1/events/stream?ticket=no')).status).toBe(429);
});

test('a request without a key is no attempt', async () => {
  const server = await startServer({ FAILED_LOGINS_PER_MINUTE: '1' });
  const nobody = server.client(null);
  const statuses = [];
  for (let i = 0; i < 4; i += 1) statuses.push((await nobody.get('/v1/me')).status);
  expect(statuses).toEqual([401, 401, 401, 401]);
});

const limit = { name: 'failed-logins', quota: 2, window_seconds: 60, detail: 'too many' };

test('tokens flow back, and addresses do not share them', () => {
  const limiter = new RateLimiter(limit);
  const taken = (address: string, now_ms: number) => {
    try {
      limiter.take(address, now_ms);
      return true;
    } catch {
      return false;
    }
  };
  expect([taken('a', 0), taken('a', 0), taken('a', 0), taken('b', 0)]).toEqual([true, true, false, true]);
  expect([taken('a', 29_000), taken('a', 30_000), taken('a', 30_000)]).toEqual([false, true, false]);
});

test('a hundred thousand addresses take no more memory than ten thousand', () => {
  const limiter = new RateLimiter(limit);
  for (let i = 0; i < 100_000; i += 1) limiter.take(`address ${i}`, i / 1_000);
  expect(limiter.size).toBe(10_000);
});

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8:1:2::1', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});
