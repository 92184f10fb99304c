// What signs the calls of an endpoint: one secret, and during a rotation the old ones beside it.
import { z } from 'zod';
import { type Actor, type Database, queries, type Tx } from '../../db.ts';
import { encodeId, newUuid } from '../../id.ts';
import type { Logger } from '../../log.ts';
import { type Algorithm, AlgorithmSchema, WebhookEndpointSchema } from './schema.ts';
import { createSigner, newSecret, type Signer } from './signing.ts';
import { not_opened, type Vault } from './vault.ts';

const sql = queries(
  import.meta.url,
  'signing_secret_insert',
  'signing_secret_expire',
  'signing_secret_list',
  'signing_secret_list_kept',
  'signing_secret_reseal',
  'signing_secret_list_sealed',
);

const SigningSchema = WebhookEndpointSchema.shape.signing.element.extend({ endpoint_id: z.uuid() });
export type Signing = z.infer<typeof SigningSchema>;

/** Answers what is shown once; null when there is nothing to show. Errors: `webhooks_not_configured`. */
export async function addSecret(
  tx: Tx,
  vault: Vault,
  endpoint_id: string,
  algorithm: Algorithm,
): Promise<string | null> {
  const { tenant_id } = tx.actor;
  const { secret, shown, public_key } = newSecret(algorithm);
  const id = newUuid();
  const sealed = vault.seal(secret, bindingOf(tenant_id, endpoint_id, id));
  await tx.run(sql.signing_secret_insert, { tenant_id, endpoint_id, id, algorithm, sealed, public_key });
  return shown;
}

/** Those that sign now do so for as long as the overlap at most. */
export async function expireSecrets(tx: Tx, endpoint_id: string, overlap_seconds: number): Promise<void> {
  await tx.run(sql.signing_secret_expire, { tenant_id: tx.actor.tenant_id, endpoint_id, overlap_seconds });
}

/** What may be shown of those that sign now, the newest first. */
export async function listSigning(tx: Tx, endpoint_ids: string[]): Promise<Signing[]> {
  return tx.many(sql.signing_secret_list, { tenant_id: tx.actor.tenant_id, endpoint_ids }, SigningSchema);
}

const SealedSchema = z.object({
  endpoint_id: z.uuid(),
  id: z.uuid(),
  algorithm: AlgorithmSchema,
  sealed: z.instanceof(Buffer),
});

/** secrets of one transaction */
const reseal_rows = 500;

/** Seals a tenant's secrets that a former key has sealed with the one that seals now; answers how many. Those that have expired stay. */
export async function resealSecrets(database: Database, vault: Vault, actor: Actor): Promise<number> {
  const { tenant_id } = actor;
  let count = 0;
  for (let after = '00000000-0000-0000-0000-000000000000'; ; ) {
    const rows = await database.transaction(actor, async (tx) => {
      const values = { tenant_id, after, row_limit: reseal_rows };
      const kept = await tx.many(sql.signing_secret_list_kept, values, SealedSchema);
      for (const { endpoint_id, id, sealed } of kept) {
        const binding = bindingOf(tenant_id, endpoint_id, id);
        if (vault.isCurrent(sealed, binding)) continue;
        const resealed = vault.seal(vault.unseal(sealed, binding), binding);
        count += await tx.run(sql.signing_secret_reseal, { tenant_id, endpoint_id, id, sealed: resealed });
      }
      return kept;
    });
    const last = rows.at(-1);
    if (last === undefined || rows.length < reseal_rows) return count;
    after = last.id;
  }
}

/** signers in memory; some 500 bytes each */
const kept_signers = 10_000;

/** Opens secrets, and keeps those that were opened lately. */
export class Signers {
  readonly #vault: Vault;
  readonly #logger: Logger;
  /** by the secret's id, oldest first */
  readonly #known = new Map<string, Signer>();

  constructor(vault: Vault, logger: Logger) {
    this.#vault = vault;
    this.#logger = logger;
  }

  /** endpoint → what signs for it now, the newest first. One of whose secrets does not open is not among them, and delays no other. */
  async list(tx: Tx, endpoint_ids: string[]): Promise<Map<string, Signer[]>> {
    const { tenant_id } = tx.actor;
    const rows = await tx.many(sql.signing_secret_list_sealed, { tenant_id, endpoint_ids }, SealedSchema);
    const found = new Map<string, Signer[]>();
    const unopened = new Set<string>();
    for (const row of rows) {
      const { endpoint_id } = row;
      const signer = this.#known.get(row.id) ?? this.#maybeUnseal(tenant_id, row);
      if (signer === null) unopened.add(endpoint_id);
      else found.set(endpoint_id, [...(found.get(endpoint_id) ?? []), signer]);
    }
    for (const endpoint_id of unopened) {
      found.delete(endpoint_id);
      this.#logger.warn({ tenant_id, endpoint: encodeId('webhook', endpoint_id) }, not_opened);
    }
    return found;
  }

  #maybeUnseal(
    tenant_id: string,
    { endpoint_id, id, algorithm, sealed }: z.infer<typeof SealedSchema>,
  ): Signer | null {
    const secret = this.#vault.maybeUnseal(sealed, bindingOf(tenant_id, endpoint_id, id));
    if (secret === null) return null;
    const signer = createSigner(algorithm, secret);
    this.#known.set(id, signer);
    const [oldest] = this.#known.keys();
    if (this.#known.size > kept_signers && oldest !== undefined) this.#known.delete(oldest);
    return signer;
  }
}

function bindingOf(tenant_id: string, endpoint_id: string, id: string): string {
  return `webhooks.signing_secret ${tenant_id} ${endpoint_id} ${id}`;
}
