// Business that names invoices and channels in its metadata, made through the public API: raised, paid, captured, reversed, reversed again,
// with and without metadata of its own, now and backdated, some of it nonsense.
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { anAccount } from '../../support/factories.ts';
import { randomFrom } from '../ledger/random_books.ts';

const ResultsSchema = z.object({
  results: z.array(z.looseObject({ transaction: z.looseObject({ id: z.string() }).optional() })),
});

const accounts = [
  ['receivables:customers', 'asset', 'EUR'],
  ['receivables:allowance', 'asset', 'EUR'],
  ['shop:loans:eu', 'asset', 'EUR'],
  ['bank', 'asset', 'EUR'],
  ['revenue:sales', 'revenue', 'EUR'],
  ['receivables:usd', 'asset', 'USD'],
  ['revenue:usd', 'revenue', 'USD'],
] as const;

const day_ms = 86_400_000;

/** `rounds` bulk requests of `count` items each, the later ones about transactions of the earlier ones too. */
export async function randomInvoices(
  api: Client,
  seed: number,
  rounds: number,
  count: number,
): Promise<void> {
  const random = randomFrom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const one = <Item>(items: readonly Item[]): Item => {
    const item = items[below(items.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  };
  for (const [code, type, currency] of accounts) {
    const known = await api.get(`/v1/accounts/${code}`);
    if (known.status === 404) await anAccount(api, { code, type, currency });
  }

  const metadata = (): Record<string, string> => ({
    ...(random() < 0.6 ? { invoice: one(['inv_1', 'inv_2', 'inv_3', 'inv "4"', '']) } : {}),
    ...(random() < 0.4 ? { customer: one(['alice', 'bob', '']) } : {}),
    ...(random() < 0.4 ? { due_on: one(['2026-10-31', '2026-12-01', '2026-02-30', 'soon', '']) } : {}),
    ...(random() < 0.5 ? { channel: one(['web', 'shop', '', '=cmd()']) } : {}),
    ...(random() < 0.3 ? { region: one(['eu', 'us']) } : {}),
  });
  const posting = () => {
    const currency = random() < 0.8 ? 'EUR' : 'USD';
    const [first, second] = [...accounts]
      .filter((account) => account[2] === currency)
      .sort(() => random() - 0.5);
    const amount = String(2 + below(5_000));
    const effective_at = new Date(Date.now() - random() * 100 * day_ms).toISOString();
    return {
      entries: [
        { account: first?.[0], direction: 'debit', amount },
        { account: second?.[0], direction: 'credit', amount },
      ],
      metadata: metadata(),
      ...(random() < 0.5 ? { effective_at } : {}),
      ...(random() < 0.2 ? { status: 'pending' } : {}),
    };
  };
  const ids: string[] = [];
  const item = (): Record<string, unknown> => {
    if (ids.length === 0 || random() < 0.5) return posting();
    const target = one(ids.slice(-60));
    const rest = {
      ...(random() < 0.3 ? { metadata: metadata() } : {}),
      ...(random() < 0.3 ? { amount: '1' } : {}),
    };
    return random() < 0.7 ? { reversal_of: target, ...rest } : { capture_of: target, ...rest };
  };
  for (let round = 0; round < rounds; round += 1) {
    const transactions = Array.from({ length: count }, item);
    const answer = await api.post('/v1/transactions/bulk', { atomic: false, transactions });
    for (const { transaction } of answer.as(ResultsSchema).results) {
      if (transaction !== undefined) ids.push(transaction.id);
    }
  }
}
