// The verification of a chain: every event and entry hashed anew and compared with what was sealed, block after block.
import { setImmediate as breath } from 'node:timers/promises';
import { z } from 'zod';
import { type Actor, type Database, queries, type Tx } from '../../db.ts';
import { BlockRowSchema } from './blocks.ts';
import { headerBytes } from './canonical.ts';
import { hashRange, type Leaves, max_block_positions, prepareHashing } from './leaves.ts';
import { hash_bytes, merkleRoot, sha256 } from './merkle.ts';
import type { TrustedKeys } from './signing_keys.ts';

const sql = queries(import.meta.url, 'sealing_find', 'block_page');

/** Half a megabyte of hashes; twice that is in memory at once. */
const page_positions = 16_384;
const page_blocks = 512;
const max_findings = 100;
/** A tree of so many is hashed in a millisecond. */
const busy_leaves = 1_000;

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
/** What stands for entries without an event. */
const no_leaf = Buffer.alloc(hash_bytes);

/** A block that somebody has kept a copy of. */
export interface Checkpoint {
  number: number;
  last_position: number;
  hash: Buffer;
}

/** What is known so far of the chain that is walked. */
interface Walk {
  tx: Tx;
  keys: TrustedKeys;
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
 * Reads all events and entries: up to 10 µs of processor time an event, three quarters of it in Postgres.
 */
export async function verifyChain(
  database: Database,
  actor: Actor,
  keys: TrustedKeys,
  checkpoint: Checkpoint | null,
): Promise<ChainProof> {
  return database.readLong(actor, async (tx) => {
    await prepareHashing(tx);
    const { tenant_id } = actor;
    const sealing = await tx.one(sql.sealing_find, { tenant_id }, SealingSchema);
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
    for (const position of sealing.stray_positions)
      report(walk, position, position, null, 'there is no such place in the log');
    await verifyPages(walk);
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

/** Blocks, and the leaves of the positions that they should cover as these are now. */
interface Page {
  blocks: SealedBlock[];
  /** the leaves are of the positions after this one */
  after: number;
  now: Leaves;
}

/** While this process compares a page, Postgres hashes the next. */
async function verifyPages(walk: Walk): Promise<void> {
  let page = await readPage(walk.tx, 0, 0);
  for (let last = page.blocks.at(-1); last !== undefined; last = page.blocks.at(-1)) {
    const coming = readPage(walk.tx, last.number, Math.max(page.after, ...page.blocks.map(lastPosition)));
    const differing = await comparePage(walk, page);
    page = await coming;
    for (const { block, is_sound } of differing) await reportDifferences(walk, block, is_sound);
  }
}

const lastPosition = ({ last_position }: SealedBlock) => last_position;

async function readPage(tx: Tx, after_number: number, after: number): Promise<Page> {
  const { tenant_id } = tx.actor;
  const blocks = await tx.many(
    sql.block_page,
    { tenant_id, after_number, after_position: after, page_positions, row_limit: page_blocks },
    SealedBlockSchema,
  );
  const up_to = Math.min(after + page_positions, Math.max(after, ...blocks.map(lastPosition)));
  if (up_to === after) return { blocks, after, now: { leaves: Buffer.alloc(0), positions: null } };
  return { blocks, after, now: await hashRange(tx, { after, up_to }) };
}

/** Compares blocks with what they cover and answers those that need a closer look. Asks nothing of the database. */
async function comparePage(
  walk: Walk,
  { blocks, after, now }: Page,
): Promise<{ block: SealedBlock; is_sound: boolean }[]> {
  const differing: { block: SealedBlock; is_sound: boolean }[] = [];
  for (const block of blocks) {
    const { first_position, last_position, number, leaves } = block;
    const is_sound = verifyHeader(walk, block);
    const start = (first_position - after - 1) * hash_bytes;
    const covered = start < 0 ? null : now.leaves.subarray(start, (last_position - after) * hash_bytes);
    if (now.positions !== null || covered?.equals(leaves) !== true) differing.push({ block, is_sound });
    if (leaves.length === 0 || !merkleRoot(leaves).equals(block.root)) {
      report(walk, first_position, last_position, number, "the block's hashes do not come to its root");
    }
    // A tree of thousands takes milliseconds, and others use this process too.
    if (leaves.length > hash_bytes * busy_leaves) await breath();
  }
  return differing;
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

/** Names each position at which the log is not as the block sealed it. */
async function reportDifferences(walk: Walk, block: SealedBlock, is_sound: boolean): Promise<void> {
  const { first_position, last_position, number, leaves } = block;
  const differences = await listDifferences(walk, block);
  for (const { position, what } of differences) report(walk, position, position, number, what);
  const is_whole = leaves.length === (last_position - first_position + 1) * hash_bytes;
  if (differences.length === 0 && !is_whole && is_sound) {
    const what = 'the block does not hold the positions that it names';
    report(walk, first_position, last_position, number, what);
  }
}

async function listDifferences(
  walk: Walk,
  block: SealedBlock,
): Promise<{ position: number; what: string }[]> {
  const { first_position, last_position, leaves } = block;
  const count = Math.min(last_position - first_position + 1, leaves.length / hash_bytes, max_block_positions);
  if (count <= 0) return [];
  const after = first_position - 1;
  const hashed = await hashRange(walk.tx, { after, up_to: after + count });
  const found = new Map<number, Buffer[]>();
  for (let index = 0; index * hash_bytes < hashed.leaves.length; index += 1) {
    const position = hashed.positions?.[index] ?? first_position + index;
    found.set(position, [...(found.get(position) ?? []), leafAt(hashed.leaves, index)]);
  }
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const position = first_position + index;
    const what = difference(found.get(position) ?? [], leafAt(leaves, index));
    return what === null ? [] : [{ position, what }];
  });
}

function leafAt(leaves: Buffer, index: number): Buffer {
  return leaves.subarray(index * hash_bytes, (index + 1) * hash_bytes);
}

function difference(found: Buffer[], sealed: Buffer): string | null {
  const [leaf] = found;
  if (leaf === undefined) return 'the event is missing';
  if (found.length > 1) return 'the position has several events';
  if (leaf.equals(no_leaf)) return 'the event is missing, and entries of it are there';
  return leaf.equals(sealed) ? null : 'the event or its entries are not as they were sealed';
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
