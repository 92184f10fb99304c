// The verification of a chain: every event and entry hashed anew and compared with what was sealed, block after block.
import { z } from 'zod';
import { type Actor, type Database, queries, type Tx } from '../../db.ts';
import { BlockRowSchema } from './blocks.ts';
import { headerBytes } from './canonical.ts';
import { hash_bytes, merkleRoot, sha256 } from './merkle.ts';
import type { SigningKeys } from './signing_keys.ts';

const sql = queries(import.meta.url, 'sealing_find', 'block_page', 'range_hash', 'event_hash_list');

/** Two megabytes of hashes. A page costs a few statements, so the more the better; twice that is in memory at once. */
const page_positions = 65_536;
const page_blocks = 512;
const max_findings = 100;

const FindingSchema = z
  .object({
    position: z.int().meta({ description: 'Of the first event that it is about' }),
    up_to_position: z.int().meta({ description: 'Of the last one; the same when it is one event' }),
    block: z.int().nullable().meta({ description: 'Number of the block that covers them' }),
    what: z.string().meta({ example: 'the event or its entries are not as they were sealed' }),
  })
  .meta({ id: 'ChainFinding' });
type Finding = z.infer<typeof FindingSchema>;

export const ChainProofSchema = z
  .object({
    ok: z.boolean().meta({ description: 'Everything that is sealed is as it was sealed' }),
    position: z.int().meta({ description: 'Everything up to this position was hashed' }),
    head_position: z
      .int()
      .meta({ description: 'The last position of the log; what lies between is not sealed yet' }),
    block_count: z.int(),
    last_block_hash: z.string().nullable().meta({ description: 'To compare with an exported checkpoint' }),
    finding_count: z.int(),
    findings: z.array(FindingSchema).meta({ description: `The first ${max_findings}` }),
  })
  .meta({ id: 'ChainProof' });
export type ChainProof = z.infer<typeof ChainProofSchema>;

const bytes = z.instanceof(Buffer);
const SealingSchema = z.object({
  head_position: z.int(),
  sealed_position: z.int(),
  stray_positions: z.array(z.int()),
});
const SealedBlockSchema = BlockRowSchema.extend({ leaves: bytes });
type SealedBlock = z.infer<typeof SealedBlockSchema>;
const RangeSchema = z.object({ is_dense: z.boolean(), leaves: bytes });
const EventHashSchema = z.object({ position: z.int(), leaf: bytes.nullable() });

/** A block that somebody has kept a copy of. */
export interface Checkpoint {
  number: number;
  last_position: number;
  hash: Buffer;
}

/** What is known so far of the chain that is walked. */
interface Walk {
  tx: Tx;
  keys: SigningKeys;
  checkpoint: Checkpoint | null;
  findings: Finding[];
  finding_count: number;
  /** of the last block; zeros before the first */
  number: number;
  position: number;
  hash: Buffer;
}

/**
 * Hashes everything that is sealed, on one snapshot, while posting goes on. Signatures count when they are of one of `keys`. With a
 * checkpoint the block of its number must be the one that was exported.
 * Reads all events and entries: some 6 µs an event.
 */
export async function verifyChain(
  database: Database,
  actor: Actor,
  keys: SigningKeys,
  checkpoint: Checkpoint | null,
): Promise<ChainProof> {
  return database.read(actor, async (tx) => {
    const walk: Walk = {
      tx,
      keys,
      checkpoint,
      findings: [],
      finding_count: 0,
      number: 0,
      position: 0,
      hash: Buffer.alloc(hash_bytes),
    };
    const { tenant_id } = actor;
    const sealing = await tx.one(sql.sealing_find, { tenant_id }, SealingSchema);
    for (const position of sealing.stray_positions)
      report(walk, position, position, null, 'there is no such place in the log');
    for (let page = await nextPage(walk); page.length > 0; page = await nextPage(walk)) {
      await verifyPage(walk, page);
    }
    verifyEnd(walk, sealing.sealed_position);
    return {
      ok: walk.finding_count === 0,
      position: walk.position,
      head_position: sealing.head_position,
      block_count: walk.number,
      last_block_hash: walk.number === 0 ? null : walk.hash.toString('hex'),
      finding_count: walk.finding_count,
      findings: walk.findings,
    };
  });
}

function nextPage({ tx, number, position }: Walk): Promise<SealedBlock[]> {
  return tx.many(
    sql.block_page,
    {
      tenant_id: tx.actor.tenant_id,
      after_number: number,
      after_position: position,
      page_positions,
      row_limit: page_blocks,
    },
    SealedBlockSchema,
  );
}

/** Hashes a page of blocks at once, and looks closer only where something differs. */
async function verifyPage(walk: Walk, blocks: SealedBlock[]): Promise<void> {
  const { tx, position: after } = walk;
  const { tenant_id } = tx.actor;
  const up_to = Math.max(after, ...blocks.map(({ last_position }) => last_position));
  const hashing = tx.one(sql.range_hash, { tenant_id, after, up_to }, RangeSchema);
  // Headers are checked while Postgres hashes.
  const sound = new Set(blocks.filter((block) => verifyHeader(walk, block)));
  const { is_dense, leaves } = await hashing;
  for (const block of blocks) {
    const { first_position, last_position, number } = block;
    const start = (first_position - after - 1) * hash_bytes;
    const end = (last_position - after) * hash_bytes;
    const is_same = is_dense && start >= 0 && leaves.subarray(start, end).equals(block.leaves);
    const is_rooted = block.leaves.length > 0 && merkleRoot(block.leaves).equals(block.root);
    if (is_same && is_rooted) continue;
    const differing = is_same ? [] : await listDifferences(walk, block);
    for (const { position, what } of differing) report(walk, position, position, number, what);
    if (!is_rooted)
      report(walk, first_position, last_position, number, "the block's hashes do not come to its root");
    else if (differing.length === 0 && sound.has(block)) {
      report(
        walk,
        first_position,
        last_position,
        number,
        'the block does not hold the positions that it names',
      );
    }
  }
}

/** What a block says about itself and about the one before it. Moves the walk to it. */
function verifyHeader(walk: Walk, block: SealedBlock): boolean {
  const { first_position, last_position, number } = block;
  const before = walk.finding_count;
  // Where the block should stand, and where it says that it stands.
  const from = Math.min(first_position, walk.position + 1);
  const tell = (what: string) => report(walk, from, Math.max(from, last_position), number, what);
  if (number !== walk.number + 1) {
    const what = `blocks ${walk.number + 1} to ${number - 1} are missing`;
    report(walk, walk.position + 1, Math.max(walk.position + 1, first_position - 1), null, what);
  } else {
    if (first_position !== walk.position + 1)
      tell(`the block does not begin after position ${walk.position}`);
    if (!block.previous_hash.equals(walk.hash)) tell('the block does not follow the one before it');
  }
  const signed = headerBytes(block);
  if (!sha256(signed).equals(block.hash)) tell('the header does not have its hash');
  const key = walk.keys.maybeFind(block.key_id);
  if (key === null)
    tell(`the key ${block.key_id.toString('hex')}, which signed the block, is not known here`);
  else if (!key.verifies(signed, block.signature)) tell('the signature is not of this header');
  if (walk.checkpoint?.number === number && !walk.checkpoint.hash.equals(block.hash)) {
    report(
      walk,
      1,
      last_position,
      number,
      'the block is not the one of the checkpoint: it, or one before it, was made anew',
    );
  }
  walk.number = number;
  walk.position = Math.max(walk.position, last_position);
  walk.hash = block.hash;
  return walk.finding_count === before;
}

/** The positions of a block at which the log is not as it was sealed. */
async function listDifferences(
  walk: Walk,
  block: SealedBlock,
): Promise<{ position: number; what: string }[]> {
  const { tx } = walk;
  const { first_position, last_position, leaves } = block;
  const rows = await tx.many(
    sql.event_hash_list,
    { tenant_id: tx.actor.tenant_id, after: first_position - 1, up_to: last_position },
    EventHashSchema,
  );
  const found = Map.groupBy(rows, ({ position }) => position);
  const count = Math.min(last_position - first_position + 1, leaves.length / hash_bytes);
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const position = first_position + index;
    const what = difference(
      found.get(position) ?? [],
      leaves.subarray(index * hash_bytes, (index + 1) * hash_bytes),
    );
    return what === null ? [] : [{ position, what }];
  });
}

function difference(rows: z.infer<typeof EventHashSchema>[], sealed: Buffer): string | null {
  const [row] = rows;
  if (row === undefined) return 'the event is missing';
  if (rows.length > 1) return 'the position has several events';
  if (row.leaf === null) return 'the event is missing, and entries of it are there';
  return row.leaf.equals(sealed) ? null : 'the event or its entries are not as they were sealed';
}

/** What only the end of the chain shows. */
function verifyEnd(walk: Walk, sealed_position: number): void {
  const { position, number, checkpoint } = walk;
  if (sealed_position !== position) {
    const [first, last] = [Math.min(sealed_position, position), Math.max(sealed_position, position)];
    report(walk, first + 1, last, null, 'blocks at the end are missing, or are not those of the sealer');
  }
  if (checkpoint !== null && checkpoint.number > number) {
    const what = `the chain ends at block ${number}, before the checkpoint at block ${checkpoint.number}`;
    report(walk, position + 1, Math.max(position + 1, checkpoint.last_position), null, what);
  }
}

function report(
  walk: Walk,
  position: number,
  up_to_position: number,
  block: number | null,
  what: string,
): void {
  walk.finding_count += 1;
  if (walk.findings.length < max_findings) walk.findings.push({ position, up_to_position, block, what });
}
