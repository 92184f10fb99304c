// After WEBHOOK_SECRET_KEY has got a new first key: what former keys have sealed is sealed with it, so that they can be thrown away.
import { type Database, platform_tenant_id, system_actor_id } from '../../db.ts';
import { encodeId, newUuid } from '../../id.ts';
import type { Logger } from '../../log.ts';
import type { ListTenants } from '../log/index.ts';
import { resealSecrets } from './secrets.ts';
import type { Vault } from './vault.ts';

const tenants_per_page = 200;

/** In all tenants. Does nothing when there is no former key. What cannot be opened is said and left as it is. */
export async function resealAll(
  { database, vault, logger }: { database: Database; vault: Vault; logger: Logger },
  listTenants: ListTenants,
  signal: AbortSignal,
): Promise<void> {
  if (!vault.hasFormerKeys) return;
  const request_id = encodeId('request', newUuid());
  let secrets = 0;
  let failures = 0;
  const reseal = async (tenant_id: string) => {
    try {
      secrets += await resealSecrets(database, vault, { tenant_id, actor_id: system_actor_id, request_id });
    } catch (error) {
      failures += 1;
      const message = error instanceof Error ? error.message : String(error);
      logger.error({ tenant_id, error: { message } }, 'signing secrets could not be sealed anew');
    }
  };
  await reseal(platform_tenant_id);
  for (let after: string | null = null; ; ) {
    const page: string[] = await listTenants({ after, row_limit: tenants_per_page });
    for (const tenant_id of page) {
      if (signal.aborted) return;
      await reseal(tenant_id);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < tenants_per_page) break;
    after = last;
  }
  if (failures > 0) return;
  logger.info(
    { secrets },
    'all signing secrets are sealed with the first WEBHOOK_SECRET_KEY: the others can go',
  );
}
