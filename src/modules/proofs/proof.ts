// The whole proof of a tenant: its ledger recounted, what else is derived from the log recounted, and its log hashed anew and compared with
// what was sealed.
import { z } from 'zod';
import type { Actor, Database } from '../../db.ts';
import type { Logger } from '../../log.ts';
import { DifferenceSchema, prove, RecountSchema } from '../ledger/index.ts';
import { recounted_tables, recountOthers } from '../projections/index.ts';
import type { TrustedKeys } from './signing_keys.ts';
import { type ChainProof, ChainProofSchema, verifyChain } from './verification.ts';

/** differences that are shown of each table */
const shown_per_table = 20;

const ProofDifferenceSchema = DifferenceSchema.extend({
  check: z
    .enum([...DifferenceSchema.shape.check.options, ...recounted_tables])
    .meta({ description: '`entries`, `log`, or the table of a projection that differs' }),
}).meta({ id: 'ProofDifference' });
type ProofDifference = z.infer<typeof ProofDifferenceSchema>;

const RecountedProjectionSchema = z
  .object({
    projection: z.string().meta({ example: 'invoices' }),
    position: z.int().meta({ description: 'How far it had come: it was recounted up to there' }),
    difference_count: z.int().meta({ description: 'At most 1,000 are counted' }),
  })
  .meta({ id: 'RecountedProjection' });

export const ProofSchema = RecountSchema.extend({
  ok: RecountSchema.shape.ok.meta({ description: 'Nothing differs, and nothing was touched' }),
  difference_count: RecountSchema.shape.difference_count.meta({
    description: 'Of the ledger and of all projections',
  }),
  differences: z
    .array(ProofDifferenceSchema)
    .meta({ description: `The first ${shown_per_table} of each check` }),
  projections: z
    .array(RecountedProjectionSchema)
    .meta({ description: 'Those besides `balances`, which belongs to the ledger' }),
  chain: ChainProofSchema,
}).meta({ id: 'Proof' });
export type Proof = z.infer<typeof ProofSchema>;

/**
 * Recounts the ledger, recounts the projections and hashes at the same time, on a connection each and on snapshots of their own. Money that does
 * not add up halts the tenant's postings; a projection that differs and a chain that does not hold are said at error level, and halt nothing.
 */
export async function proveTenant(
  database: Database,
  logger: Logger,
  keys: TrustedKeys,
  { tenant_id, actor_id, request_id }: Actor,
): Promise<Proof> {
  const actor = { tenant_id, actor_id, request_id };
  const [recount, derived, chain] = await Promise.all([
    prove(database, logger, actor),
    proveProjections(database, logger, actor),
    proveChain(database, logger, keys, actor),
  ]);
  const difference_count = derived.projections.reduce(
    (count, each) => count + each.difference_count,
    recount.difference_count,
  );
  return {
    ...recount,
    ok: difference_count === 0 && chain.ok,
    difference_count,
    differences: [...recount.differences, ...derived.differences],
    projections: derived.projections,
    chain,
  };
}

async function proveProjections(
  database: Database,
  logger: Logger,
  actor: Actor,
): Promise<Pick<Proof, 'projections' | 'differences'>> {
  const recounts = await recountOthers(database, actor);
  const projections = recounts.map(({ projection, position, differences }) => ({
    projection,
    position,
    difference_count: differences.length,
  }));
  const differing = projections.filter(({ difference_count }) => difference_count > 0);
  if (differing.length > 0)
    logger.error({ tenant_id: actor.tenant_id, projections: differing }, 'projections fail their recount');
  const shown = new Map<string, ProofDifference[]>();
  for (const { table, ...difference } of recounts.flatMap(({ differences }) => differences)) {
    const of_table = shown.get(table) ?? [];
    if (of_table.length < shown_per_table) of_table.push({ check: table, account_id: null, ...difference });
    shown.set(table, of_table);
  }
  return { projections, differences: [...shown.values()].flat() };
}

export async function proveChain(
  database: Database,
  logger: Logger,
  keys: TrustedKeys,
  actor: Actor,
): Promise<ChainProof> {
  const { tenant_id } = actor;
  const chain = await verifyChain(database, actor, keys, null);
  if (!chain.ok) logger.error({ tenant_id, findings: chain.findings }, 'the log is not as it was sealed');
  return chain;
}
