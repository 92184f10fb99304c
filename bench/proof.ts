// What turns a rate into a number: every acknowledged transaction is there, and the ledger proves itself.
import { z } from 'zod';
import { queries, system_actor_id } from '../src/db.ts';
import { maybeDecodeId } from '../src/id.ts';
import { RunFailed } from './measure.ts';
import type { Stack, Tenant } from './stack.ts';

const sql = queries(import.meta.url, 'acknowledged_count', 'balance_recount');

const id_length = 26;
const ids_per_query = 10_000;
const FoundSchema = z.object({ found: z.int() });
const BalanceSchema = z.object({ balance: z.string() });
const ProofSchema = z.looseObject({ ok: z.boolean() });

/** Counts the acknowledged transactions, by the ids in their answers, straight in the database. */
export async function proveAcknowledged(
  stack: Stack,
  tenants: Tenant[],
  ids: string,
  acknowledged: number,
): Promise<void> {
  const transaction_ids = Array.from({ length: ids.length / id_length }, (_, number) => {
    const id = `txn_${ids.slice(number * id_length, (number + 1) * id_length)}`;
    const uuid = maybeDecodeId('transaction', id);
    if (uuid === null) throw new RunFailed(`an answer acknowledged ${id}, which is not an id`, 1);
    return uuid;
  });
  let found = 0;
  for (const tenant of tenants) {
    for (let start = 0; start < transaction_ids.length; start += ids_per_query) {
      const rows = await stack.database.read(actorOf(tenant), (tx) =>
        tx.one(
          sql.acknowledged_count,
          { tenant_id: tenant.id, transaction_ids: transaction_ids.slice(start, start + ids_per_query) },
          FoundSchema,
        ),
      );
      found += rows.found;
    }
  }
  if (found !== acknowledged) {
    throw new RunFailed(
      `${acknowledged} transactions were acknowledged, ${found} are there`,
      acknowledged - found,
    );
  }
}

/** Asks the ledger of each tenant to recount itself. */
export async function prove(stack: Stack, tenants: Tenant[]): Promise<void> {
  for (const tenant of tenants) {
    const response = await fetch(`http://127.0.0.1:${stack.port}/v1/proof`, {
      headers: { Authorization: `Bearer ${tenant.api_key}` },
    });
    const text = await response.text();
    if (response.status !== 200 || !ProofSchema.parse(JSON.parse(text)).ok) {
      throw new RunFailed(`the proof failed: ${response.status} ${text.slice(0, 1_000)}`, 1);
    }
  }
}

/** The balance of a liability, counted from its entries. */
export async function recountBalance(
  stack: Stack,
  tenant: Tenant,
  asked: { account_id: string; as_of: string | null; known_at: number | null },
): Promise<string> {
  const row = await stack.database.read(actorOf(tenant), (tx) =>
    tx.one(sql.balance_recount, { tenant_id: tenant.id, ...asked }, BalanceSchema),
  );
  return row.balance;
}

function actorOf(tenant: Tenant) {
  return { tenant_id: tenant.id, actor_id: system_actor_id, request_id: 'req_bench' };
}
