// A tenant with a random past, made through the public API: postings, holds, captures and voids, now and backdated, some on one account
// only often enough that checkpoints and blocks of the projection are passed.
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount } from '../../support/factories.ts';

/** Numbers in [0, 1) that depend on the seed only. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ResultsSchema = z.object({
  results: z.array(
    z.looseObject({ transaction: z.looseObject({ id: z.string(), status: z.string() }).optional() }),
  ),
});

const day_ms = 86_400_000;

/**
 * `count` postings and holds, then captures and voids of some of these holds. Answers the accounts' codes. Holds expire within seconds,
 * hours or never; business times lie up to 100 days back, some at midnight sharp, a few in the future.
 */
export async function randomBooks(api: Client, seed: number, count: number): Promise<string[]> {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const codes = ['cash', 'customers:a', 'customers:b', 'fees'];
  for (const code of codes) await anAccount(api, { code, type: code === 'cash' ? 'asset' : 'liability' });

  const instant = (): string | undefined => {
    const kind = random();
    if (kind < 0.5) return undefined;
    const back_ms = random() * 100 * day_ms;
    const text = new Date(Date.now() - back_ms + (kind > 0.95 ? 103 * day_ms : 0)).toISOString();
    return kind < 0.7 ? `${text.slice(0, 10)}T00:00:00Z` : text;
  };
  const posting = () => {
    const [debit, credit] = [below(4), below(3)];
    const account = (index: number) => codes[index % 4];
    const amount = String(1 + below(10_000));
    const effective_at = instant();
    const holds = random() < 0.3;
    const expires = random();
    return {
      entries: [
        { account: account(debit), direction: 'debit', amount },
        { account: account(debit + 1 + credit), direction: 'credit', amount },
      ],
      ...(effective_at === undefined ? {} : { effective_at }),
      ...(holds ? { status: 'pending' } : {}),
      ...(holds && expires < 0.7 ? { expires_in_seconds: expires < 0.3 ? 1 + below(3) : 3_600 } : {}),
    };
  };
  const bulk = async (transactions: unknown[]) =>
    (await api.post('/v1/transactions/bulk', { atomic: false, transactions })).as(ResultsSchema).results;

  const posted = await bulk(Array.from({ length: count }, posting));
  const follow_ups = posted.flatMap(({ transaction }): Record<string, unknown>[] => {
    if (transaction?.status !== 'pending') return [];
    const kind = random();
    if (kind < 0.2) return [{ capture_of: transaction.id }];
    if (kind < 0.4) return [{ capture_of: transaction.id, amount: '1', final: kind < 0.3 }];
    return kind < 0.6 ? [{ void_of: transaction.id }] : [];
  });
  if (follow_ups.length > 0) await bulk(follow_ups);
  return codes;
}
