import { z } from 'zod';
import { api_options, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const DropSchema = z.looseObject({ version: z.number().nullable(), kept_version: z.number().nullable() });

export const projectionsDropCommand = command({
  name: 'projections drop',
  summary: 'Drops the version of a projection that is kept, or all: then it is built again from the log',
  positionals: ['name'],
  input: z.object({
    name: z.string().describe('the name of the projection'),
    tenant: z.string().startsWith('ten_').describe('of this tenant'),
    all_versions: z.boolean().default(false).describe('the one that is read too'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, tenant, all_versions } = input;
    const dropped = await openPlatformApi(input, config).post(
      `/v1/tenants/${tenant}/projection_drops`,
      { projection: name, versions: all_versions ? 'all' : 'kept' },
      DropSchema,
    );
    const versions = [dropped.kept_version, dropped.version].filter((version) => version !== null);
    output.line(`dropped  ${name} of ${tenant}: version ${versions.join(' and ')}`);
    output.json(dropped);
    return 0;
  },
});
