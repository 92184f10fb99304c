// Who may follow the log live, for how long, and how many at once.
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { encodeId } from '../../../src/id.ts';
import { eventStreams } from '../../support/event_streams.ts';
import { aKey, aPlatformKey } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import type { TestStream } from '../../support/stream.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer({ STREAMS_PER_KEY: '4' });
const { open, aBusyTenant, refusal } = eventStreams(server);
const ProblemSchema = z.looseObject({ code: z.string() });

describe('a stream ends with the right to it', () => {
  /** From the request that ends it until the end of the stream. */
  async function endsAfter(streams: TestStream[], act: () => Promise<unknown>): Promise<number> {
    await act();
    const began_ms = performance.now();
    await Promise.all(streams.map((stream) => stream.ended));
    return performance.now() - began_ms;
  }

  test('when its key is revoked, here or by another process, within a second; others go on', async () => {
    const { tenant, api, transact } = await aBusyTenant();
    const other = await startServer();
    const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
    const [here, there, untouched] = await Promise.all([
      open(tenant, '', { api_key }),
      open(tenant, '', { api_key }, other.url),
      open(tenant),
    ]);
    await Promise.all([here, there, untouched].map((stream) => stream.live()));
    const took_ms = await endsAfter([here, there], () =>
      api.post(`/v1/keys/${encodeId('key', actor_id)}/revocation`),
    );
    expect(took_ms).toBeLessThan(1_000);
    expect(await refusal(tenant, '', { api_key })).toEqual([401, 'unauthenticated']);
    const next = await transact();
    await untouched.reached(next.position);
    await untouched.close();
    await other.close();
  });

  test('when its tenant is suspended', async () => {
    const { tenant } = await aBusyTenant();
    const bystander = await aBusyTenant();
    const other = await startServer();
    const [here, there, theirs] = await Promise.all([
      open(tenant),
      open(tenant, '', {}, other.url),
      open(bystander.tenant),
    ]);
    await Promise.all([here, there, theirs].map((stream) => stream.live()));
    const platform = server.client(await aPlatformKey());
    const took_ms = await endsAfter([here, there], () =>
      platform.post(`/v1/tenants/${encodeId('tenant', tenant.id)}/suspension`),
    );
    expect(took_ms).toBeLessThan(1_000);
    expect(await refusal(tenant, '')).toEqual([403, 'tenant_suspended']);
    const next = await bystander.transact();
    await theirs.reached(next.position);
    await theirs.close();
    await other.close();
  });

  test('when its key expires, and not before', async () => {
    const { tenant, api } = await aBusyTenant();
    const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
    const stream = await open(tenant, '', { api_key });
    await stream.live();
    const took_ms = await endsAfter([stream], () =>
      api.post(`/v1/keys/${encodeId('key', actor_id)}/rotation`, { overlap_seconds: 1 }),
    );
    expect(took_ms).toBeGreaterThan(500);
    expect(took_ms).toBeLessThan(2_000);
  });

  test('a key that was revoked elsewhere opens none, even while it is still remembered here', async () => {
    const { tenant, api } = await aBusyTenant();
    const other = await startServer();
    const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
    expect((await other.client(api_key).get('/v1/me')).status).toBe(200);
    await api.post(`/v1/keys/${encodeId('key', actor_id)}/revocation`);
    const stream = await open(tenant, '', { api_key }, other.url);
    await stream.ended;
    expect(stream.status).toBe(401);
    await other.close();
  });
});

describe('there are limits', () => {
  test('to the streams of a key; one that ends makes room', async () => {
    const { tenant } = await aBusyTenant();
    const streams = await Promise.all([open(tenant), open(tenant), open(tenant), open(tenant)]);
    await Promise.all(streams.map((stream) => stream.live()));
    const refused = await open(tenant);
    await refused.ended;
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    expect(ProblemSchema.parse(JSON.parse(refused.text)).code).toBe('stream_limit_reached');
    await streams[0]?.close();
    await waitFor('there is room again', async () => {
      const stream = await open(tenant);
      await stream.close();
      return stream.status === 200;
    });
    await Promise.all(streams.map((stream) => stream.close()));
  });

  test('to the streams of a process', async () => {
    const { tenant } = await aBusyTenant();
    const small = await startServer({ STREAMS_PER_PROCESS: '2' });
    const streams = await Promise.all([open(tenant, '', {}, small.url), open(tenant, '', {}, small.url)]);
    await Promise.all(streams.map((stream) => stream.live()));
    const refused = await open(tenant, '', {}, small.url);
    await refused.ended;
    expect([refused.status, ProblemSchema.parse(JSON.parse(refused.text)).code]).toEqual([503, 'overloaded']);
    await Promise.all(streams.map((stream) => stream.close()));
    await small.close();
  });
});
