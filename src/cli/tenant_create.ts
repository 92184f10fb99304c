import { z } from 'zod';
import { idSchema } from '../id.ts';
import { api_options, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const CreatedSchema = z.looseObject({
  id: idSchema('tenant'),
  slug: z.string(),
  owner_key: z.looseObject({ api_key: z.string().nullable() }),
});

export const tenantCreateCommand = command({
  name: 'tenant create',
  summary: "Creates a tenant that is ready to post, and shows its owner's key once; with a platform key",
  input: z.object({
    slug: z.string().describe('names the tenant: lowercase letters, digits and hyphens'),
    name: z.string().optional().describe('its name for people; absent means the slug'),
    template: z
      .enum(['lending', 'bnpl', 'psp', 'wallets', 'blank'])
      .default('blank')
      .describe('its chart of accounts'),
    currency: z.string().describe("of the chart's accounts, such as EUR"),
    mode: z.enum(['live', 'test']).default('live').describe('whether its money is real'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { slug, name = slug, template, currency, mode } = input;
    const created = await openPlatformApi(input, config).post(
      '/v1/tenants',
      { slug, name, template, currency, mode },
      CreatedSchema,
    );
    output.line(`tenant     ${created.id} (${created.slug})`);
    output.line(`owner key  ${created.owner_key.api_key}`);
    output.line('The key is shown this once: keep it where secrets are kept.');
    output.json(created);
    return 0;
  },
});
