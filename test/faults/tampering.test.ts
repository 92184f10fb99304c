// A superuser changes what was sealed, in every way that a row can be changed. Each change is found, and named by its position.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { headerBytes } from '../../src/modules/proofs/canonical.ts';
import { hash_bytes, merkleRoot, sha256 } from '../../src/modules/proofs/merkle.ts';
import { parseSigningKeys, type SigningKeys } from '../../src/modules/proofs/signing_keys.ts';
import { type ChainProof, type Checkpoint, verifyChain } from '../../src/modules/proofs/verification.ts';
import { randomBooks, randomFrom } from '../modules/ledger/random_books.ts';
import { database, databaseUrl } from '../support/database.ts';
import { anAccount, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { signing_keys_path, startServer } from '../support/server.ts';

const tamperings = inject('fault_rounds') === 1 ? 100 : 1_000;
const { FC_SEED } = process.env;
const seed = FC_SEED === undefined ? Date.now() % 1_000_000_000 : Number(FC_SEED);
const random = randomFrom(seed);
const below = (limit: number) => Math.floor(random() * limit);
function one<Item>(items: readonly Item[]): Item {
  const item = items[below(items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

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

/** What was done to which positions. */
interface Tampering {
  what: string;
  positions: number[];
  /** only a checkpoint shows it */
  needs_checkpoint?: true;
}

const uuid_columns = ['id', 'subject_id', 'actor_id'];
const instant_columns = ['occurred_at', 'recorded_at'];

/** the position of some event, and of one that has entries */
const anyPosition = () => 1 + below(head);
async function postedPosition(): Promise<number> {
  const found = await rows(
    z.object({ position: z.string() }),
    'select distinct position from ledger.entry where tenant_id = $1 order by position',
  );
  return Number(one(found).position);
}

/** One character of a text column becomes another. */
const flip = (column: string, at: number) =>
  `overlay(${column} placing case substr(${column}, ${at}, 1) when 'x' then 'y' else 'x' end from ${at} for 1)`;
const flipUuid = (column: string) => {
  const digit = one([1, 10, 20, 30, 36]);
  const letter = `substr(${column}::text, ${digit}, 1)`;
  return `overlay(${column}::text placing case ${letter} when 'a' then 'b' else 'a' end from ${digit} for 1)::uuid`;
};
const later = (column: string) => `${column} + interval '1 microsecond'`;

async function changeEvent(): Promise<Tampering> {
  const position = anyPosition();
  const column = one([...uuid_columns, ...instant_columns, 'type', 'request_id', 'data']);
  let change = later(column);
  if (uuid_columns.includes(column)) change = flipUuid(column);
  if (column === 'type' || column === 'request_id') change = flip(column, 1 + below(10));
  // Of the JSON one byte within a name or value, or one between them.
  if (column === 'data') {
    change = one([`regexp_replace(data::text, '[a-wyz]', 'x')::json`, `(data::text || ' ')::json`]);
  }
  await run(`update log.event set ${column} = ${change} where tenant_id = $1 and position = $2`, [
    tenant.id,
    position,
  ]);
  return { what: `event.${column} of ${position}`, positions: [position] };
}

async function changeEntry(): Promise<Tampering> {
  const position = await postedPosition();
  const [column, change] = one([
    ['amount', 'amount + sign(amount)'],
    ['amount', 'amount * 10'],
    ['account_id', flipUuid('account_id')],
    ['layer', "case layer when 'posted' then 'pending' else 'posted' end::ledger.layer"],
    ['direction', "case direction when 'debit' then 'credit' else 'debit' end::ledger.direction"],
    ['ordinal', 'ordinal + 7'],
    ['effective_at', later('effective_at')],
    ['recorded_at', later('recorded_at')],
    ['expires_at', "coalesce(expires_at + interval '1 microsecond', '-infinity')"],
  ] as const);
  await run(
    `update ledger.entry set ${column} = ${change}
     where tenant_id = $1 and position = $2
       and ordinal = (select min(ordinal) from ledger.entry where tenant_id = $1 and position = $2)`,
    [tenant.id, position],
  );
  return { what: `entry.${column} of ${position}`, positions: [position] };
}

async function deleteRows(): Promise<Tampering> {
  const position = await postedPosition();
  const tables = one([['log.event'], ['ledger.entry'], ['log.event', 'ledger.entry']]);
  for (const table of tables) {
    await run(`delete from ${table} where tenant_id = $1 and position = $2`, [tenant.id, position]);
  }
  return { what: `delete ${tables.join(' and ')} of ${position}`, positions: [position] };
}

async function insertRow(): Promise<Tampering> {
  const position = await postedPosition();
  const [what, text] = one([
    [
      'a second event',
      `insert into log.event
       select tenant_id, position, gen_random_uuid(), type, subject_id, data, actor_id, request_id, occurred_at, recorded_at + interval '1 us'
       from log.event where tenant_id = $1 and position = $2`,
    ],
    [
      'a further entry',
      `insert into ledger.entry
       select tenant_id, position, ordinal + 10, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
       from ledger.entry where tenant_id = $1 and position = $2 limit 1`,
    ],
    [
      'the same entry in another month',
      `insert into ledger.entry
       select tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at + interval '1 month', expires_at
       from ledger.entry where tenant_id = $1 and position = $2 limit 1`,
    ],
  ] as const);
  await run(text, [tenant.id, position]);
  return { what: `${what} at ${position}`, positions: [position] };
}

async function insertStray(): Promise<Tampering> {
  const position = one([0, -5, head + 3]);
  await run(
    `insert into ledger.entry
     select tenant_id, $2, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
     from ledger.entry where tenant_id = $1 limit 1`,
    [tenant.id, position],
  );
  return { what: `an entry at ${position}`, positions: [position] };
}

async function reorder(): Promise<Tampering> {
  const first = await postedPosition();
  const second = 1 + (first % head);
  const tables = one([['log.event'], ['log.event', 'ledger.entry']]);
  for (const table of tables) {
    for (const [from, to] of [
      [first, -first],
      [second, first],
      [-first, second],
    ]) {
      await run(`update ${table} set position = $3 where tenant_id = $1 and position = $2`, [
        tenant.id,
        from,
        to,
      ]);
    }
  }
  return { what: `swap ${tables.join(' and ')} of ${first} and ${second}`, positions: [first, second] };
}

const StoredSchema = z.object({
  tenant_id: z.string(),
  number: z.string().transform(Number),
  first_position: z.string().transform(Number),
  last_position: z.string().transform(Number),
  root: z.instanceof(Buffer),
  previous_hash: z.instanceof(Buffer),
  closed_at: z.string(),
  key_id: z.instanceof(Buffer),
  hash: z.instanceof(Buffer),
  signature: z.instanceof(Buffer),
  leaves: z.instanceof(Buffer),
});

async function storedBlocks() {
  return rows(
    StoredSchema,
    `select tenant_id, number, first_position, last_position, root, previous_hash,
       to_char(closed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as closed_at, key_id, hash, signature, leaves
     from proofs.block where tenant_id = $1 order by number`,
  );
}

async function changeBlock(): Promise<Tampering> {
  const block = one(await storedBlocks());
  const column = one([
    'root',
    'previous_hash',
    'hash',
    'signature',
    'key_id',
    'leaves',
    'closed_at',
    'number',
    'last_position',
    'first_position',
  ]);
  let change = `set_bit(${column}, ${below(128)}, 1 - get_bit(${column}, 0))`;
  if (['root', 'previous_hash', 'hash', 'signature', 'key_id', 'leaves'].includes(column)) {
    const bit = below(128);
    change = `set_bit(${column}, ${bit}, 1 - get_bit(${column}, ${bit}))`;
  } else if (column === 'closed_at') change = later(column);
  else change = `${column} + ${one([1_000, 1_000_000])}`;
  await run(`update proofs.block set ${column} = ${change} where tenant_id = $1 and number = $2`, [
    tenant.id,
    block.number,
  ]);
  return {
    what: `block.${column} of ${block.number}`,
    positions: [block.first_position, block.last_position],
  };
}

async function deleteBlock(): Promise<Tampering> {
  const block = one(await storedBlocks());
  await run('delete from proofs.block where tenant_id = $1 and number = $2', [tenant.id, block.number]);
  return { what: `delete block ${block.number}`, positions: [block.first_position, block.last_position] };
}

/** Changes an amount, then makes the hashes of it, its block and all blocks after that anew, signed by a key. */
async function rehash(signing: SigningKeys, passes_for: Buffer, what: string): Promise<Tampering> {
  const position = await postedPosition();
  await run('update ledger.entry set amount = amount * 3 where tenant_id = $1 and position = $2', [
    tenant.id,
    position,
  ]);
  const LeavesSchema = z.object({ leaves: z.instanceof(Buffer) });
  let previous: Buffer | null = null;
  for (const block of await storedBlocks()) {
    if (block.last_position < position) continue;
    const { first_position, last_position } = block;
    const range = `proofs.hash_range($1, ${first_position - 1}, ${last_position}, null, null)`;
    const [hashed] = await rows(LeavesSchema, `select leaves from ${range}`);
    const leaves = hashed?.leaves ?? Buffer.alloc(hash_bytes);
    const header = {
      ...block,
      root: merkleRoot(leaves),
      previous_hash: previous ?? block.previous_hash,
      key_id: passes_for,
    };
    const signed = headerBytes(header);
    previous = sha256(signed);
    await run(
      `update proofs.block set leaves = $3, root = $4, previous_hash = $5, key_id = $6, hash = $7, signature = $8
       where tenant_id = $1 and number = $2`,
      [
        tenant.id,
        block.number,
        leaves,
        header.root,
        header.previous_hash,
        header.key_id,
        previous,
        signing.active.sign(signed),
      ],
    );
  }
  return { what: `${what} from ${position}`, positions: [position] };
}

/** Everything after some block, gone as if it had never been. */
async function truncate(): Promise<Tampering> {
  const blocks = await storedBlocks();
  const last = blocks[below(blocks.length - 1)];
  if (last === undefined) throw new Error('there is but one block');
  for (const table of ['log.event', 'ledger.entry']) {
    await run(`delete from ${table} where tenant_id = $1 and position > $2`, [tenant.id, last.last_position]);
  }
  await run('delete from proofs.block where tenant_id = $1 and number > $2', [tenant.id, last.number]);
  await run('update log.consumer set position = $2 where tenant_id = $1', [tenant.id, last.last_position]);
  return { what: `truncate after ${last.last_position}`, positions: [head], needs_checkpoint: true };
}

const other_keys = parseSigningKeys(
  generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
);

const kinds: (() => Promise<Tampering>)[] = [
  changeEvent,
  changeEvent,
  changeEntry,
  changeEntry,
  deleteRows,
  insertRow,
  insertStray,
  reorder,
  changeBlock,
  changeBlock,
  deleteBlock,
  truncate,
  () => rehash(other_keys, other_keys.active.key_id, 'rehash by a key of his own'),
  () => rehash(other_keys, keys.active.key_id, 'rehash that passes for ours'),
  async () => ({
    ...(await rehash(keys, keys.active.key_id, 'rehash by the stolen key')),
    needs_checkpoint: true,
  }),
];

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
  for (let count = 0; count < tamperings; count += 1) {
    const tamper = kinds[count % kinds.length] ?? changeEvent;
    const { what, positions, needs_checkpoint } = await tamper();
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
  expect((await verifyChain(database, tenant.actor, keys, checkpoint)).ok).toBe(true);
});
