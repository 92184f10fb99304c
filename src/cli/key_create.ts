import { z } from 'zod';
import type { Config } from '../config.ts';
import { Database, platform_tenant_id, system_actor_id } from '../db.ts';
import { encodeId, idSchema, newUuid } from '../id.ts';
import { createLogger } from '../log.ts';
import { createKey } from '../modules/access/index.ts';
import { api_options, openApi } from './api.ts';
import { command, UsageError } from './command.ts';
import { withPostgres } from './postgres.ts';

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
    name: z.string().describe('what the key is for'),
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
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, role, expires_at = null } = input;
    if (input.platform === (role !== undefined)) {
      throw new UsageError('give --role for a key of your tenant, or --platform for one of the platform');
    }
    const created = input.platform
      ? await createPlatformKey(config, name, expires_at)
      : await openApi(input, config).post('/v1/keys', { name, role, expires_at }, CreatedSchema);
    output.line(`key      ${created.id} (${created.name}, ${created.role})`);
    output.line(`api key  ${created.api_key}`);
    output.line('The key is shown this once: keep it where secrets are kept.');
    output.json(created);
    return 0;
  },
});

/** The first platform key cannot come from the API, which asks for one: it comes from whoever may log in as lattice_app. */
function createPlatformKey(config: Config, name: string, expires_at: string | null) {
  const logger = createLogger('warn');
  return withPostgres(config, logger, async ({ app_url }) => {
    const database = new Database({
      connection_string: app_url,
      size: 1,
      application_name: 'lattice key create',
      logger,
    });
    const actor = {
      tenant_id: platform_tenant_id,
      actor_id: system_actor_id,
      request_id: encodeId('request', newUuid()),
    };
    try {
      const { key, api_key } = await database.transaction(actor, (tx) =>
        createKey(tx, { name, role: 'platform', expires_at }),
      );
      return { ...key, api_key };
    } finally {
      await database.end();
    }
  });
}
