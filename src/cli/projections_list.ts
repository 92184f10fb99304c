import { z } from 'zod';
import type { Api } from './api.ts';
import { command } from './command.ts';
import { ofTenants, tenants_options } from './tenants.ts';

const ProjectionSchema = z.looseObject({
  name: z.string(),
  version: z.number(),
  position: z.number(),
  lag_events: z.number(),
  kept: z.object({ version: z.number(), position: z.number() }).nullable(),
  rebuild: z
    .looseObject({
      version: z.number(),
      status: z.enum(['running', 'swapped', 'canceled', 'failed']),
      progress: z.number(),
      difference_count: z.number().nullable(),
      reason: z.string().nullable(),
    })
    .nullable(),
});
const ProjectionsSchema = z.object({ data: z.array(ProjectionSchema) });

/** A projection of a tenant; the tenant is null when it is the key's own. */
type Shown = z.infer<typeof ProjectionSchema> & { tenant: string | null };

export const projectionsListCommand = command({
  name: 'projections list',
  summary: 'Shows each projection: its version, how far it has come, and its newest rebuild',
  input: z.object(tenants_options),
  run: async ({ input, config, output }) => {
    const found = await ofTenants(input, config, listProjections);
    for (const each of found) output.line(projectionLine(each));
    output.json({ data: found });
    return 0;
  },
});

export async function listProjections(api: Api, tenant: string | null): Promise<Shown[]> {
  const path = tenant === null ? '/v1/projections' : `/v1/tenants/${tenant}/projections`;
  const { data } = await api.get(path, ProjectionsSchema);
  return data.map((each) => ({ ...each, tenant }));
}

export function projectionLine({
  tenant,
  name,
  version,
  position,
  lag_events,
  kept,
  rebuild,
}: Shown): string {
  const whose = tenant === null ? '' : `${tenant}  `;
  const lag = lag_events === 0 ? 'caught up' : `${lag_events} events behind`;
  const parts = [`version ${version}`, `position ${position}`, lag];
  if (kept !== null) parts.push(`version ${kept.version} kept`);
  if (rebuild !== null) {
    const { status, progress, difference_count, reason } = rebuild;
    const differences = difference_count === null ? '' : `, ${difference_count} rows differed`;
    const how = status === 'running' ? `${Math.floor(progress * 100)} %` : `${status}${differences}`;
    parts.push(`rebuild of version ${rebuild.version}: ${how}${reason === null ? '' : ` (${reason})`}`);
  }
  return `${whose}${name.padEnd(16)}  ${parts.join(' · ')}`;
}
