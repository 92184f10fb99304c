import { z } from 'zod';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const LetterSchema = z.looseObject({
  id: z.string(),
  tenant_id: z.string(),
  job: z.string(),
  attempts: z.number(),
  reason: z.string(),
  failed_at: z.string(),
  status: z.enum(['waiting', 'retried', 'dismissed']),
});
type Letter = z.infer<typeof LetterSchema>;
const PageSchema = z.object({ data: z.array(LetterSchema), next_cursor: z.string().nullable() });

export const jobsListCommand = command({
  name: 'jobs list',
  summary: 'Shows the jobs that gave up and wait for somebody; exit status 1 when there are any',
  input: z.object({
    platform: z.boolean().default(false).describe('those of all tenants, with a platform key'),
    settled: z.boolean().default(false).describe('those too that were retried or dismissed'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const api = input.platform ? openPlatformApi(input, config) : openApi(input, config);
    const found: Letter[] = [];
    for (let cursor: string | null = null; ; ) {
      const status: string = input.settled ? '' : '&status=waiting';
      const rest: string = cursor === null ? '' : `&cursor=${cursor}`;
      const page: z.infer<typeof PageSchema> = await api.get(
        `/v1/dead_letters?limit=200${status}${rest}`,
        PageSchema,
      );
      found.push(...page.data);
      cursor = page.next_cursor;
      if (cursor === null) break;
    }
    for (const letter of found) output.line(letterLine(letter, input.platform));
    if (found.length === 0) output.line('No job has given up.');
    output.json({ data: found });
    return found.some(({ status }) => status === 'waiting') ? 1 : 0;
  },
});

function letterLine(
  { id, tenant_id, job, attempts, reason, failed_at, status }: Letter,
  is_platform: boolean,
) {
  const whose = is_platform ? `${tenant_id}  ` : '';
  return `${id}  ${whose}${job.padEnd(24)} ${status.padEnd(9)} ${failed_at}, ${attempts} attempts: ${reason}`;
}
