// The ways in which a superuser can change what was sealed. Each does it once, somewhere, and says what it did.
import { generateKeyPairSync } from 'node:crypto';
import { z } from 'zod';
import { headerBytes } from '../../../src/modules/proofs/canonical.ts';
import { merkleRoot, sha256 } from '../../../src/modules/proofs/merkle.ts';
import { parseSigningKeys, type SigningKeys } from '../../../src/modules/proofs/signing_keys.ts';

/** What was done to which positions. */
export interface Tampering {
  what: string;
  positions: number[];
  /** only a checkpoint shows it */
  needs_checkpoint?: true;
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

export interface Victim {
  run: (text: string, values?: unknown[]) => Promise<number>;
  /** `$1` is the tenant */
  rows: <Row extends z.ZodType>(row: Row, text: string) => Promise<z.infer<Row>[]>;
  /** uuid */
  tenant_id: string;
  /** position of the last event */
  head: number;
  keys: SigningKeys;
  /** the leaves of the positions after `after` up to `up_to`, as they are now */
  hash: (after: number, up_to: number) => Promise<Buffer>;
  /** numbers in [0, 1) */
  random: () => number;
}

export function tamperingsOf({
  run,
  rows,
  tenant_id,
  head,
  keys,
  hash,
  random,
}: Victim): (() => Promise<Tampering>)[] {
  const below = (limit: number) => Math.floor(random() * limit);
  function one<Item>(items: readonly Item[]): Item {
    const item = items[below(items.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }

  /** Each of them in its turn, so that none is left to chance. */
  function inTurn<Item>(items: readonly Item[]): () => Item {
    let turn = below(items.length);
    return () => {
      turn += 1;
      const item = items[turn % items.length];
      if (item === undefined) throw new Error('nothing to take turns with');
      return item;
    };
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

  const nextEventColumn = inTurn([
    ...uuid_columns,
    ...instant_columns,
    'tenant_id',
    'position',
    'type',
    'request_id',
    'data',
  ]);
  async function changeEvent(): Promise<Tampering> {
    const position = anyPosition();
    const column = nextEventColumn();
    let change = later(column);
    if (column === 'tenant_id') change = 'gen_random_uuid()';
    if (column === 'position') change = one(['position + 1000000', '-position']);
    if (uuid_columns.includes(column)) change = flipUuid(column);
    if (column === 'type' || column === 'request_id') change = flip(column, 1 + below(10));
    // Of the JSON one byte within a name or value, or one between them.
    if (column === 'data') {
      change = one([`regexp_replace(data::text, '[a-wyz]', 'x')::json`, `(data::text || ' ')::json`]);
    }
    await run(`update log.event set ${column} = ${change} where tenant_id = $1 and position = $2`, [
      tenant_id,
      position,
    ]);
    return { what: `event.${column} of ${position}`, positions: [position] };
  }

  const nextEntryChange = inTurn([
    ['amount', 'amount + sign(amount)'],
    ['amount', 'amount * 10'],
    ['tenant_id', 'gen_random_uuid()'],
    ['position', 'position + 1000000'],
    ['account_id', flipUuid('account_id')],
    ['layer', "case layer when 'posted' then 'pending' else 'posted' end::ledger.layer"],
    ['direction', "case direction when 'debit' then 'credit' else 'debit' end::ledger.direction"],
    ['ordinal', 'ordinal + 7'],
    ['effective_at', later('effective_at')],
    ['recorded_at', later('recorded_at')],
    ['expires_at', "coalesce(expires_at + interval '1 microsecond', '-infinity')"],
  ] as const);
  async function changeEntry(): Promise<Tampering> {
    const position = await postedPosition();
    const [column, change] = nextEntryChange();
    await run(
      `update ledger.entry set ${column} = ${change}
     where tenant_id = $1 and position = $2
       and ordinal = (select min(ordinal) from ledger.entry where tenant_id = $1 and position = $2)`,
      [tenant_id, position],
    );
    return { what: `entry.${column} of ${position}`, positions: [position] };
  }

  async function deleteRows(): Promise<Tampering> {
    const position = await postedPosition();
    const tables = one([['log.event'], ['ledger.entry'], ['log.event', 'ledger.entry']]);
    for (const table of tables) {
      await run(`delete from ${table} where tenant_id = $1 and position = $2`, [tenant_id, position]);
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
    await run(text, [tenant_id, position]);
    return { what: `${what} at ${position}`, positions: [position] };
  }

  async function insertStray(): Promise<Tampering> {
    const position = one([0, -5, head + 3]);
    await run(
      `insert into ledger.entry
     select tenant_id, $2, ordinal, account_id, layer, direction, amount, effective_at, recorded_at, expires_at
     from ledger.entry where tenant_id = $1 limit 1`,
      [tenant_id, position],
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
          tenant_id,
          from,
          to,
        ]);
      }
    }
    return { what: `swap ${tables.join(' and ')} of ${first} and ${second}`, positions: [first, second] };
  }

  async function storedBlocks() {
    return rows(
      StoredSchema,
      `select tenant_id, number, first_position, last_position, root, previous_hash,
       to_char(closed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as closed_at, key_id, hash, signature, leaves
     from proofs.block where tenant_id = $1 order by number`,
    );
  }

  const nextBlockColumn = inTurn([
    'tenant_id',
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
  async function changeBlock(): Promise<Tampering> {
    const block = one(await storedBlocks());
    const column = nextBlockColumn();
    let change = 'gen_random_uuid()';
    if (['root', 'previous_hash', 'hash', 'signature', 'key_id', 'leaves'].includes(column)) {
      const bit = below(128);
      change = `set_bit(${column}, ${bit}, 1 - get_bit(${column}, ${bit}))`;
    } else if (column === 'closed_at') change = later(column);
    else if (column !== 'tenant_id') change = `${column} + ${one([1_000, 1_000_000])}`;
    await run(`update proofs.block set ${column} = ${change} where tenant_id = $1 and number = $2`, [
      tenant_id,
      block.number,
    ]);
    return {
      what: `block.${column} of ${block.number}`,
      positions: [block.first_position, block.last_position],
    };
  }

  async function deleteBlock(): Promise<Tampering> {
    const block = one(await storedBlocks());
    await run('delete from proofs.block where tenant_id = $1 and number = $2', [tenant_id, block.number]);
    return { what: `delete block ${block.number}`, positions: [block.first_position, block.last_position] };
  }

  /** Changes an amount, then makes the hashes of it, its block and all blocks after that anew, signed by a key. */
  async function rehash(signing: SigningKeys, passes_for: Buffer, what: string): Promise<Tampering> {
    const position = await postedPosition();
    await run('update ledger.entry set amount = amount * 3 where tenant_id = $1 and position = $2', [
      tenant_id,
      position,
    ]);
    let previous: Buffer | null = null;
    for (const block of await storedBlocks()) {
      if (block.last_position < position) continue;
      const { first_position, last_position } = block;
      const leaves = await hash(first_position - 1, last_position);
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
          tenant_id,
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
      await run(`delete from ${table} where tenant_id = $1 and position > $2`, [
        tenant_id,
        last.last_position,
      ]);
    }
    await run('delete from proofs.block where tenant_id = $1 and number > $2', [tenant_id, last.number]);
    await run('update log.consumer set position = $2 where tenant_id = $1', [tenant_id, last.last_position]);
    return { what: `truncate after ${last.last_position}`, positions: [head], needs_checkpoint: true };
  }

  const other_keys = parseSigningKeys(
    generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  );

  return [
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
}
