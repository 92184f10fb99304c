// The proof of the chain of blocks, against a checkpoint that was exported, and in a form for people.
import { z } from 'zod';
import { BlockSchema, type ChainProof, parseCheckpoint } from '../modules/proofs/index.ts';
import { type Api, Refused } from './api.ts';

type Block = z.infer<typeof BlockSchema>;

const MeSchema = z.object({ tenant: z.looseObject({ id: z.string() }) });
const KeysSchema = z.object({ data: z.array(z.looseObject({ public_key: z.string() })) });

/** What a checkpoint that was exported says of the chain. */
export interface ComparedCheckpoint {
  /** its number */
  block: number;
  /** that the block reaches: nothing up to there was changed since the export */
  position: number;
  /** whether the chain still has it */
  ok: boolean;
}

/** The block of an exported checkpoint. Throws NotGenuine for a text that was altered, and an error for one of another tenant than the key's. */
export async function readCheckpoint(api: Api, text: string): Promise<Block> {
  const { data } = await api.get('/v1/signing_keys', KeysSchema);
  const kept = parseCheckpoint(
    text,
    data.map(({ public_key }) => public_key),
  );
  const { tenant } = await api.get('/v1/me', MeSchema);
  if (kept.tenant_id !== tenant.id) {
    throw new Error(`the checkpoint is of another tenant, ${kept.tenant_id}: the key is of ${tenant.id}`);
  }
  return kept;
}

/** Looks for the block of an exported checkpoint in the chain. */
export async function compareCheckpoint(
  api: Api,
  chain: ChainProof,
  kept: Block,
): Promise<{ chain: ChainProof; checkpoint: ComparedCheckpoint }> {
  const what = await difference(api, kept);
  const checkpoint = { block: kept.number, position: kept.last_position, ok: what === null };
  if (what === null) return { chain, checkpoint };
  const finding = { position: 1, up_to_position: kept.last_position, block: kept.number, what };
  return {
    chain: {
      ...chain,
      ok: false,
      finding_count: chain.finding_count + 1,
      findings: [...chain.findings, finding],
    },
    checkpoint,
  };
}

async function difference(api: Api, kept: Block): Promise<string | null> {
  try {
    const found = await api.get(`/v1/blocks/${kept.number}`, BlockSchema);
    return found.hash === kept.hash ? null : 'the block is not the one of the checkpoint';
  } catch (error) {
    if (error instanceof Refused && error.code === 'not_found')
      return 'the block of the checkpoint is missing';
    throw error;
  }
}

export function chainLines(chain: ChainProof): string[] {
  const findings = chain.findings.map(({ position, up_to_position, what }) =>
    position === up_to_position
      ? `  position ${position}: ${what}`
      : `  positions ${position} to ${up_to_position}: ${what}`,
  );
  const verdict = chain.ok ? 'nothing was touched' : `${chain.finding_count} FINDINGS`;
  return [...findings, `  ${chain.block_count} blocks hashed up to position ${chain.position}: ${verdict}`];
}

export function checkpointLine({ block, position, ok }: ComparedCheckpoint): string {
  const verdict = ok ? 'still in the chain' : 'NOT IN THE CHAIN';
  return `  compared with the checkpoint of block ${block}, up to position ${position}: ${verdict}`;
}
