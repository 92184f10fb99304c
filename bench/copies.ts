// Fills a ledger by copying what was posted: the same rows in the same tables, many times as fast as posting them.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { queries, system_actor_id } from '../src/db.ts';
import { note } from './notes.ts';
import type { Stack, Tenant } from './stack.ts';

const sql = queries(
  import.meta.url,
  'originals_find',
  'originals_lock',
  'originals_copy',
  'consumers_behind',
);

const notes_every_ms = 30_000;

const RangeSchema = z.object({ first_position: z.int(), last_position: z.int() });
const BehindSchema = z.object({ behind: z.int() });

/** Copies all that a tenant has posted so many times, one transaction each, and waits until every consumer has followed. */
export async function copyPostings(stack: Stack, tenant: Tenant, times: number): Promise<void> {
  const actor = { tenant_id: tenant.id, actor_id: system_actor_id, request_id: 'req_bench' };
  const tenant_id = tenant.id;
  const range = await stack.database.read(actor, (tx) =>
    tx.one(sql.originals_find, { tenant_id }, RangeSchema),
  );
  let noted_at = performance.now();
  for (let copy = 1; copy <= times; copy += 1) {
    await stack.database.transaction(actor, async (tx) => {
      await tx.run(sql.originals_lock, { tenant_id });
      await tx.run(sql.originals_copy, { tenant_id, ...range });
    });
    if (performance.now() - noted_at < notes_every_ms) continue;
    noted_at = performance.now();
    note(`${copy} of ${times} copies`);
  }
  note('waiting until projections and blocks have followed');
  for (;;) {
    const { behind } = await stack.database.read(actor, (tx) =>
      tx.one(sql.consumers_behind, { tenant_id }, BehindSchema),
    );
    if (behind === 0) return;
    await delay(500);
  }
}
