// Of which tenants a command speaks: its key's own, one, or all; the latter with a platform key.
import { z } from 'zod';
import type { Config } from '../config.ts';
import { platform_tenant_id } from '../db.ts';
import { encodeId } from '../id.ts';
import { type Api, api_options, openApi, openPlatformApi } from './api.ts';

export const tenants_options = {
  tenant: z.string().startsWith('ten_').optional().describe('of this tenant, with a platform key'),
  all: z.boolean().default(false).describe("of all tenants and the platform's own log, with a platform key"),
  ...api_options,
};

/** `read` of each of these tenants in turn; null is the key's own. */
export async function ofTenants<Shown>(
  input: z.infer<z.ZodObject<typeof tenants_options>>,
  config: Config,
  read: (api: Api, tenant: string | null) => Promise<Shown[]>,
): Promise<Shown[]> {
  const is_platform = input.all || input.tenant !== undefined;
  const api = is_platform ? openPlatformApi(input, config) : openApi(input, config);
  const tenants = input.all ? await listTenants(api) : [input.tenant ?? null];
  const found: Shown[] = [];
  for (const tenant of tenants) found.push(...(await read(api, tenant)));
  return found;
}

const TenantsSchema = z.object({
  data: z.array(z.looseObject({ id: z.string() })),
  next_cursor: z.string().nullable(),
});

/** The platform's own first: its log is followed like any other. */
export async function listTenants(api: Api): Promise<string[]> {
  const ids = [encodeId('tenant', platform_tenant_id)];
  for (let cursor: string | null = null; ; ) {
    const rest: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page: z.infer<typeof TenantsSchema> = await api.get(`/v1/tenants?limit=200${rest}`, TenantsSchema);
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
    if (cursor === null) return ids;
  }
}
