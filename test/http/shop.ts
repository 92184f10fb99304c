// A tenant that sells: what it raises and is paid, and reports that are read at the position of what was posted last.
import { z } from 'zod';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import type { TestServer } from '../support/server.ts';

export const PageSchema = z.object({
  data: z.array(z.record(z.string(), z.unknown())),
  has_more: z.boolean(),
  next_cursor: z.string().nullable(),
  position: z.number(),
});

export async function aShop(server: TestServer) {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'receivables:customers', type: 'asset' });
  await anAccount(api, { code: 'assets:bank', type: 'asset' });
  await anAccount(api, { code: 'revenue:sales', type: 'revenue' });
  let position = 0;
  const post = async (debit: string, credit: string, amount: string, rest: Record<string, unknown>) => {
    const posted = await aTransaction(api, { debit, credit, amount, ...rest });
    position = posted.position;
    return posted;
  };
  const raise = (amount: string, metadata: Record<string, string>, effective_at = '2026-01-10T12:00:00Z') =>
    post('receivables:customers', 'revenue:sales', amount, { metadata, effective_at });
  const pay = (amount: string, metadata: Record<string, string>, effective_at = '2026-02-10T12:00:00Z') =>
    post('assets:bank', 'receivables:customers', amount, { metadata, effective_at });
  const read = async (path: string) => {
    const separator = path.includes('?') ? '&' : '?';
    return (await api.get(`${path}${separator}min_position=${position}`)).as(PageSchema);
  };
  const follow = async (path: string, body: unknown = {}) => {
    position = (await api.post(path, body)).as(z.looseObject({ position: z.number() })).position;
  };
  return { tenant, api, raise, pay, post, read, follow, at: () => position };
}
