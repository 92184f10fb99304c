// The whole proof of a tenant: its ledger recounted, and its log hashed anew and compared with what was sealed.
import type { z } from 'zod';
import type { Actor, Database } from '../../db.ts';
import type { Logger } from '../../log.ts';
import { prove, RecountSchema } from '../ledger/index.ts';
import type { SigningKeys } from './signing_keys.ts';
import { type ChainProof, ChainProofSchema, verifyChain } from './verification.ts';

export const ProofSchema = RecountSchema.extend({
  ok: RecountSchema.shape.ok.meta({ description: 'Nothing differs, and nothing was touched' }),
  chain: ChainProofSchema,
}).meta({ id: 'Proof' });
export type Proof = z.infer<typeof ProofSchema>;

/**
 * Recounts and hashes at the same time, on a connection and a snapshot each. Money that does not add up halts the tenant's postings; a chain that
 * does not hold is said at error level, and halts nothing.
 */
export async function proveTenant(
  database: Database,
  logger: Logger,
  keys: SigningKeys,
  { tenant_id, actor_id, request_id }: Actor,
): Promise<Proof> {
  const actor = { tenant_id, actor_id, request_id };
  const [recount, chain] = await Promise.all([
    prove(database, logger, actor),
    proveChain(database, logger, keys, actor),
  ]);
  return { ...recount, ok: recount.ok && chain.ok, chain };
}

export async function proveChain(
  database: Database,
  logger: Logger,
  keys: SigningKeys,
  actor: Actor,
): Promise<ChainProof> {
  const { tenant_id } = actor;
  const chain = await verifyChain(database, actor, keys, null);
  if (!chain.ok) logger.error({ tenant_id, findings: chain.findings }, 'the log is not as it was sealed');
  return chain;
}
