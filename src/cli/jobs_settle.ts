// `lattice jobs retry` and `lattice jobs dismiss`: what becomes of a job that gave up.
import { z } from 'zod';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const SettledSchema = z.looseObject({ id: z.string(), tenant_id: z.string(), status: z.string() });

function settlement(verb: 'retry' | 'dismiss', noun: 'retry' | 'dismissal', summary: string) {
  return command({
    name: `jobs ${verb}`,
    summary,
    positionals: ['dead_letter'],
    input: z.object({
      dead_letter: z.string().startsWith('dlt_').describe('its id, as `jobs list` shows it'),
      platform: z.boolean().default(false).describe('of any tenant, with a platform key'),
      ...api_options,
    }),
    run: async ({ input, config, output }) => {
      const api = input.platform ? openPlatformApi(input, config) : openApi(input, config);
      const path = `/v1/dead_letters/${input.dead_letter}/${noun}`;
      const settled = await api.post(path, undefined, SettledSchema);
      output.line(`${settled.status}  ${settled.id} of ${settled.tenant_id}`);
      output.json(settled);
      return 0;
    },
  });
}

export const jobsRetryCommand = settlement(
  'retry',
  'retry',
  'Puts a job that gave up back into the queue, with all its attempts',
);
export const jobsDismissCommand = settlement('dismiss', 'dismissal', 'Lets a job that gave up be');
