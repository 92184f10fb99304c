// The smallest book that can refuse: a bank, and a wallet that may not fall below zero; and posters that are processes of their own.
import { Registry } from 'prom-client';
import { newUuid } from '../../../src/id.ts';
import { AccountCache } from '../../../src/modules/ledger/account_cache.ts';
import { createAccount } from '../../../src/modules/ledger/accounts.ts';
import type { Command, Outcome } from '../../../src/modules/ledger/command.ts';
import { Poster } from '../../../src/modules/ledger/poster.ts';
import { database } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';

export const newPoster = () =>
  new Poster(database, new AccountCache(database), new Registry(), () => undefined);

/** A tenant with the accounts `bank` and `wallet`. */
export async function aBook(): Promise<TestTenant> {
  const tenant = await aTenant();
  await database.transaction(tenant.actor, async (tx) => {
    await createAccount(tx, { code: 'bank', type: 'asset', currency: 'EUR' });
    const limits = { available_min: '0' };
    await createAccount(tx, { code: 'wallet', type: 'liability', currency: 'EUR', limits });
  });
  return tenant;
}

/** An order under a key of its own, unless one is given. */
export function command(tenant: TestTenant, order: Command['order'], key_hash = newUuid()): Command {
  const origin = {
    actor_id: tenant.actor.actor_id,
    request_id: 'req_test',
    instance: '/v1/transactions',
    key_hash,
    request_hash: key_hash,
    key_pointer: '#/header/Idempotency-Key',
  };
  return { origin, order };
}

interface Payment {
  wallet?: string;
  reference?: string;
  status?: 'pending';
  expires_in_seconds?: number;
  expires_at?: string;
}

/** Moves an amount into a wallet, or out of it when it is negative. */
export function payment(
  tenant: TestTenant,
  amount: number,
  { wallet = 'wallet', ...more }: Payment = {},
  key_hash = newUuid(),
): Command {
  const [debit, credit] = amount > 0 ? ['bank', wallet] : [wallet, 'bank'];
  const entries = [
    { account: debit, direction: 'debit' as const, amount: `${Math.abs(amount)}` },
    { account: credit, direction: 'credit' as const, amount: `${Math.abs(amount)}` },
  ];
  return command(tenant, { kind: 'post', request: { entries, ...more } }, key_hash);
}

export const statusOf = (outcome: Outcome) =>
  outcome.state === 'answered' ? outcome.status : outcome.problem.code;
