import { z } from 'zod';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const DifferencesSchema = z.object({
  data: z.array(
    z.looseObject({
      projection: z.string(),
      difference_count: z.number(),
      differences: z
        .array(z.object({ what: z.string(), expected: z.string().nullable(), found: z.string().nullable() }))
        .optional(),
    }),
  ),
});

export const projectionsDiffCommand = command({
  name: 'projections diff',
  summary: 'Counts projections again from the log, in another way; exit status 1 when one differs',
  positionals: ['name'],
  input: z.object({
    name: z.string().optional().describe('the name of the projection; all when absent'),
    tenant: z
      .string()
      .startsWith('ten_')
      .optional()
      .describe('of this tenant, with a platform key: only how many'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, tenant } = input;
    const api = tenant === undefined ? openApi(input, config) : openPlatformApi(input, config);
    const path = `${tenant === undefined ? '/v1' : `/v1/tenants/${tenant}`}/projection_differences`;
    const found = await api.get(
      name === undefined ? path : `${path}?projection=${encodeURIComponent(name)}`,
      DifferencesSchema,
    );
    for (const { projection, difference_count, differences = [] } of found.data) {
      output.line(`${projection.padEnd(16)}  ${difference_count} differences`);
      for (const { what, expected, found: has } of differences) {
        output.line(`  ${what}: expected ${expected ?? 'nothing'}, found ${has ?? 'nothing'}`);
      }
    }
    output.json(found);
    return found.data.some(({ difference_count }) => difference_count > 0) ? 1 : 0;
  },
});
