// The sealer is killed at each of its steps, and runs in two processes at once. Each position is sealed once, and the chain holds.
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { ProofSchema } from '../../src/modules/proofs/index.ts';
import type { Client } from '../support/client.ts';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import { startProcess } from '../support/process.ts';
import { waitFor } from '../support/wait.ts';

/** a kill at each step in each of them */
const rounds = Math.min(inject('fault_rounds'), 6);

const superuser = new pg.Client({ connectionString: databaseUrl('postgres') });
beforeAll(async () => {
  await superuser.connect();
});
afterAll(() => superuser.end());

const CountSchema = z.object({ count: z.string().transform(Number) });

/** Whether a statement like this waits for somebody who has locked the table, in a transaction that holds a lock of this kind on blocks. */
async function isStuckAt(table: string, statement: string, held: string): Promise<boolean> {
  const [found] = await asSuperuser(
    CountSchema,
    `select count(*)
     from pg_locks waiting
     join pg_stat_activity using (pid)
     where datname = current_database() and waiting.relation = '${table}'::regclass and not waiting.granted and query like $1
       and ($2 = '' or exists (
         select from pg_locks holding
         where holding.pid = waiting.pid and holding.relation = 'proofs.block'::regclass and holding.mode = $2 and holding.granted
       ))`,
    [`%${statement}%`, held],
  );
  return (found?.count ?? 0) > 0;
}

async function sealedUpTo(api: Client, position: number) {
  return waitFor('everything is sealed', async () => {
    const proof = (await api.get('/v1/proof')).as(ProofSchema);
    return proof.chain.position >= position && proof;
  });
}

/** One row for each position that is in another number of blocks than one. */
async function unevenlySealed(tenant_id: string): Promise<unknown[]> {
  return asSuperuser(
    z.unknown(),
    `select event.position, count(block.number)
     from log.event
     left join proofs.block on block.tenant_id = event.tenant_id and event.position between block.first_position and block.last_position
     where event.tenant_id = $1
     group by event.position
     having count(block.number) <> 1`,
    [tenant_id],
  );
}

test.each([
  { step: 'hashes', table: 'ledger.entry', mode: 'access exclusive', statement: 'numbered.leaf', held: '' },
  {
    step: 'looks for the last block',
    table: 'proofs.block',
    mode: 'access exclusive',
    statement: 'from proofs.block',
    held: '',
  },
  {
    step: 'writes the block',
    table: 'proofs.block',
    mode: 'share',
    statement: 'insert into proofs.block',
    held: 'AccessShareLock',
  },
  {
    step: 'moves its position',
    table: 'log.consumer',
    mode: 'share',
    statement: 'log.end_slice',
    held: 'RowExclusiveLock',
  },
])(
  'a sealer that is killed while it $step leaves nothing half done',
  async ({ table, mode, statement, held }) => {
    const tenant = await aTenant();
    let process = await startProcess();
    await anAccount(process.client(tenant.api_key), { code: 'cash', type: 'asset' });
    await anAccount(process.client(tenant.api_key), { code: 'alice' });
    for (let round = 0; round < rounds; round += 1) {
      const api = process.client(tenant.api_key);
      const { position } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
      await sealedUpTo(api, position);
      await superuser.query('begin');
      try {
        await superuser.query(`lock table ${table} in ${mode} mode`);
        // Opening an account looks at no entries and at no block.
        await anAccount(api);
        await waitFor('the sealer is stuck', () => isStuckAt(table, statement, held));
        await process.end('SIGKILL');
      } finally {
        await superuser.query('rollback');
      }
      process = await startProcess();
      const after = process.client(tenant.api_key);
      const last = await aTransaction(after, { debit: 'cash', credit: 'alice' });
      expect(await sealedUpTo(after, last.position)).toMatchObject({ ok: true, chain: { ok: true } });
      expect(await unevenlySealed(tenant.id)).toEqual([]);
    }
    await process.end('SIGTERM');
  },
);

test('two sealers at once close each block once, for every tenant', async () => {
  const processes = await Promise.all([startProcess(), startProcess()]);
  const tenants = await Promise.all(Array.from({ length: 4 }, () => aTenant()));
  await Promise.all(
    tenants.map(async ({ id, api_key }) => {
      const clients = processes.map((each) => each.client(api_key));
      const [first] = clients;
      if (first === undefined) throw new Error('there is no process');
      await anAccount(first, { code: 'cash', type: 'asset' });
      await anAccount(first, { code: 'alice' });
      let position = 0;
      // Long enough for several blocks by each of them.
      for (let round = 0; round < 4; round += 1) {
        for (const client of clients) {
          ({ position } = await aTransaction(client, { debit: 'cash', credit: 'alice' }));
        }
        await sealedUpTo(first, position);
      }
      expect(await sealedUpTo(first, position)).toMatchObject({ ok: true, chain: { ok: true } });
      expect(await unevenlySealed(id)).toEqual([]);
    }),
  );
  const parked = await asSuperuser(z.unknown(), 'select name from log.consumer where parked_at is not null');
  expect(parked).toEqual([]);
  await Promise.all(processes.map((each) => each.end('SIGTERM')));
});
