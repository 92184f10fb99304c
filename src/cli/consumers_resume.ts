import { z } from 'zod';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const ResumedSchema = z.looseObject({ consumer: z.string() });

export const consumersResumeCommand = command({
  name: 'consumers resume',
  summary: 'Lets a parked consumer try again where it stands; nothing is skipped',
  positionals: ['name'],
  input: z.object({
    name: z.string().describe('the name of the consumer'),
    tenant: z.string().startsWith('ten_').optional().describe('of this tenant, with a platform key'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, tenant } = input;
    const resumed =
      tenant === undefined
        ? await openApi(input, config).post('/v1/consumer_resumptions', { consumer: name }, ResumedSchema)
        : await openPlatformApi(input, config).post(
            `/v1/tenants/${tenant}/consumer_resumptions`,
            { consumer: name },
            ResumedSchema,
          );
    output.line(`resumed  ${resumed.consumer}${tenant === undefined ? '' : ` of ${tenant}`}`);
    output.json(resumed);
    return 0;
  },
});
