import { z } from 'zod';
import type { Config } from '../config.ts';
import { Database, platform_tenant_id, system_actor_id } from '../db.ts';
import { encodeId, idSchema, newUuid } from '../id.ts';
import { createLogger } from '../log.ts';
import { createKey, type RoleName } from '../modules/access/index.ts';
import { findTenantBySlug, NameSchema } from '../modules/tenants/index.ts';
import { api_options, openApi } from './api.ts';
import { command, UsageError } from './command.ts';
import { checkSchema, withPostgres } from './postgres.ts';

const CreatedSchema = z.looseObject({
  id: idSchema('key'),
  name: z.string(),
  role: z.string(),
  api_key: z.string().nullable(),
});

export const keyCreateCommand = command({
  name: 'key create',
  summary:
    'Creates an API key and shows it once: of your tenant, or of the platform by whoever has the database',
  input: z.object({
    name: NameSchema.describe('what the key is for'),
    role: z
      .enum(['owner', 'operator', 'auditor', 'integrator_read', 'integrator_write'])
      .optional()
      .describe('what it may do'),
    expires_at: z.iso
      .datetime()
      .optional()
      .describe('from then on it opens nothing, such as 2027-01-01T00:00:00Z'),
    platform: z
      .boolean()
      .default(false)
      .describe(
        'a key that administers tenants, written to the database of DATABASE_URL or of the data directory',
      ),
    tenant: z
      .string()
      .optional()
      .describe('slug of a tenant that has lost its owner key: the key is written to the database likewise'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, role, expires_at = null } = input;
    if (input.platform === (role !== undefined)) {
      throw new UsageError('give --role for a key of your tenant, or --platform for one of the platform');
    }
    if (input.platform && input.tenant !== undefined) {
      throw new UsageError('give --tenant or --platform, not both');
    }
    const created =
      input.platform || input.tenant !== undefined
        ? await writeKey(config, input.tenant ?? null, { name, role: role ?? 'platform', expires_at })
        : await openApi(input, config).post('/v1/keys', { name, role, expires_at }, CreatedSchema);
    output.line(`key      ${created.id} (${created.name}, ${created.role})`);
    output.line(`api key  ${created.api_key}`);
    output.line('The key is shown this once: keep it where secrets are kept.');
    output.json(created);
    return 0;
  },
});

interface NewKey {
  name: string;
  role: RoleName;
  expires_at: string | null;
}

/**
 * Past the API, which asks for a key, by whoever may log in as lattice_app: the first key of the platform, or one for a tenant that
 * has none left. The tenant's log says that the system made it.
 */
function writeKey(config: Config, slug: string | null, key: NewKey) {
  const logger = createLogger('warn');
  return withPostgres(config, logger, async ({ app_url }) => {
    await checkSchema(app_url);
    const database = new Database({
      connection_string: app_url,
      size: 1,
      application_name: 'lattice key create',
      logger,
    });
    const request_id = encodeId('request', newUuid());
    const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id };
    try {
      const tenant = slug === null ? null : await database.read(platform, (tx) => findTenantBySlug(tx, slug));
      const actor = { ...platform, tenant_id: tenant?.id ?? platform_tenant_id };
      const created = await database.transaction(actor, (tx) => createKey(tx, key));
      return { ...created.key, api_key: created.api_key };
    } finally {
      await database.end();
    }
  });
}
