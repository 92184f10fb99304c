// A superuser changes what was sealed, in every way that a row can be changed. Each change is found, and named by its position.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { hashRange } from '../../src/modules/proofs/leaves.ts';
import { parseSigningKeys, type SigningKeys } from '../../src/modules/proofs/signing_keys.ts';
import { type ChainProof, type Checkpoint, verifyChain } from '../../src/modules/proofs/verification.ts';
import { randomBooks, randomFrom } from '../modules/ledger/random_books.ts';
import { tamperingsOf } from '../modules/proofs/tamperings.ts';
import { database, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { signing_keys_path, startServer } from '../support/server.ts';

const tamperings = inject('fault_rounds') === 1 ? 100 : 1_000;
const { FC_SEED } = process.env;
const seed = FC_SEED === undefined ? Date.now() % 1_000_000_000 : Number(FC_SEED);
const random = randomFrom(seed);
const superuser = new pg.Client({ connectionString: databaseUrl('postgres') });
let keys: SigningKeys;
let tenant: TestTenant;
let checkpoint: Checkpoint;
/** position of the last event; all are sealed */
let head: number;

async function run(text: string, values: unknown[] = []): Promise<number> {
  return (await superuser.query(text, values)).rowCount ?? 0;
}

async function rows<Row extends z.ZodType>(row: Row, text: string): Promise<z.infer<Row>[]> {
  return (await superuser.query(text, [tenant.id])).rows.map((each) => row.parse(each));
}

async function hash(after: number, up_to: number): Promise<Buffer> {
  const { leaves } = await database.read(tenant.actor, (tx) => hashRange(tx, { after, up_to }));
  return leaves;
}

const kept = ['log.event', 'ledger.entry', 'proofs.block', 'log.consumer'];
const backupOf = (table: string) => `public.${table.replace('.', '_')}`;

beforeAll(async () => {
  await superuser.connect();
  const server = await startServer();
  keys = parseSigningKeys(readFileSync(signing_keys_path, 'utf8'));
  tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await randomBooks(api, seed, 30);
  await anAccount(api, { code: 'late' });
  for (let block = 0; block < 4; block += 1) {
    for (let count = 0; count < 4; count += 1) {
      await aTransaction(api, { debit: 'cash', credit: 'late', description: `number ${count}` });
    }
    const { id, position } = await aTransaction(api, { debit: 'cash', credit: 'fees', status: 'pending' });
    const answer = await api.get(`/v1/transactions/${id}/receipt`);
    expect(answer.status).toBe(200);
    head = position;
  }
  await server.close();
  // What the tables forbid, a superuser allows himself.
  await run("set session_replication_role = 'replica'");
  for (const check of ['number_positive', 'positions_ordered', 'hashes_sha256', 'leaves_complete']) {
    await run(`alter table proofs.block drop constraint block_${check}`);
  }
  for (const check of ['entry_amount_signed', 'entry_expiry_pending']) {
    await run(`alter table ledger.entry drop constraint ${check}`);
  }
  await run('alter table log.event drop constraint event_position_positive');
  for (const table of kept) {
    await run(`create table ${backupOf(table)} as select * from ${table} where tenant_id = '${tenant.id}'`);
  }
  const BlockSchema = z.object({ number: z.string(), last_position: z.string(), hash: z.instanceof(Buffer) });
  const [last] = await rows(
    BlockSchema,
    'select number, last_position, hash from proofs.block where tenant_id = $1 order by number desc limit 1',
  );
  if (last === undefined) throw new Error('nothing was sealed');
  checkpoint = { number: Number(last.number), last_position: Number(last.last_position), hash: last.hash };
  expect(checkpoint.last_position).toBe(head);
});

afterAll(() => superuser.end());

async function restore(): Promise<void> {
  for (const table of kept) {
    await run(`delete from ${table} where tenant_id = $1`, [tenant.id]);
    await run(`insert into ${table} select * from ${backupOf(table)}`);
  }
}

function names(proof: ChainProof, position: number): boolean {
  return proof.findings.some((finding) => finding.position <= position && position <= finding.up_to_position);
}

test('what nobody has touched is proved', async () => {
  const proof = await verifyChain(database, tenant.actor, keys, checkpoint);
  expect(proof).toMatchObject({ ok: true, position: head, head_position: head, findings: [] });
  expect(proof.block_count).toBeGreaterThan(3);
});

test(`${tamperings} tamperings are each found and named (seed ${seed})`, { timeout: 600_000 }, async () => {
  const missed: string[] = [];
  const touched = new Set<string>();
  const kinds = tamperingsOf({ run, rows, tenant_id: tenant.id, head, keys, hash, random });
  for (let count = 0; count < tamperings; count += 1) {
    const tamper = kinds[count % kinds.length];
    if (tamper === undefined) throw new Error('there are no tamperings');
    const { what, positions, needs_checkpoint } = await tamper();
    touched.add(what.split(' ')[0] ?? '');
    const proof = await verifyChain(database, tenant.actor, keys, checkpoint);
    const named = positions.filter((position) => names(proof, position));
    if (proof.ok || named.length === 0) missed.push(`${what}: ${JSON.stringify(proof.findings)}`);
    if (needs_checkpoint !== true) {
      const without = await verifyChain(database, tenant.actor, keys, null);
      if (without.ok) missed.push(`${what}, without a checkpoint`);
    }
    await restore();
  }
  expect(missed).toEqual([]);
  const columns = await rows(
    z.object({ name: z.string() }),
    `select table_name || '.' || column_name as name from information_schema.columns
     where table_schema || '.' || table_name in ('log.event', 'ledger.entry', 'proofs.block') and $1::uuid is not null`,
  );
  expect(columns.map(({ name }) => name).filter((name) => !touched.has(name))).toEqual([]);
  expect((await verifyChain(database, tenant.actor, keys, checkpoint)).ok).toBe(true);
});
