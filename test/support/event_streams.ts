// Live streams of a test's server: opened, refused, and a tenant that gives them something to say.
import { z } from 'zod';
import { anAccount, aTenant, aTransaction, type TestTenant } from './factories.ts';
import type { TestServer } from './server.ts';
import { type StreamOptions, TestStream } from './stream.ts';

const ProblemSchema = z.looseObject({
  code: z.string(),
  errors: z.array(z.looseObject({ pointer: z.string(), code: z.string() })).optional(),
});

/** Streams of events of one server. */
export function eventStreams(server: TestServer) {
  const open = (tenant: TestTenant, query = '', options: StreamOptions = {}, url = server.url) =>
    TestStream.open(`${url}/v1/events/stream${query}`, { api_key: tenant.api_key, ...options });
  return {
    open,
    /** Two accounts, and a transaction between them. */
    async aBusyTenant() {
      const tenant = await aTenant();
      const api = server.client(tenant.api_key);
      const alice = await anAccount(api, { code: 'customers:alice' });
      const cash = await anAccount(api, { code: 'assets:cash', type: 'asset' });
      const transact = () => aTransaction(api, { debit: cash.id, credit: alice.id });
      const first = await transact();
      return { tenant, api, alice, cash, transact, first };
    },
    /** Status, code and pointers of a stream that is refused. */
    async refusal(tenant: TestTenant, query: string, options: StreamOptions = {}) {
      const stream = await open(tenant, query, options);
      await stream.ended;
      const { code, errors = [] } = ProblemSchema.parse(JSON.parse(stream.text));
      return [stream.status, code, ...errors.map((error) => `${error.pointer} ${error.code}`)];
    },
  };
}
