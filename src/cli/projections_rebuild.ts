import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { type Api, api_options, openPlatformApi } from './api.ts';
import { command, UsageError } from './command.ts';
import { listProjections, projectionLine } from './projections_list.ts';
import { listTenants } from './tenants.ts';

const poll_ms = 250;
/** what it costs to ask grows with the tenants */
const poll_all_ms = 1_000;
const AllCanceledSchema = z.looseObject({ projections: z.array(z.string()), running_count: z.number() });
const ProgressSchema = z.object({
  data: z.array(
    z.looseObject({
      projection: z.string(),
      running: z.number(),
      canceled: z.number(),
      failed: z.number(),
      difference_count: z.number(),
      positions_done: z.number(),
      positions_to_do: z.number(),
    }),
  ),
});
const OrderSchema = z.looseObject({ id: z.string(), projections: z.array(z.string()) });

export const projectionsRebuildCommand = command({
  name: 'projections rebuild',
  summary:
    'Builds a projection, or all, again beside what is read; exit status 1 when one failed or differed',
  positionals: ['name'],
  input: z.object({
    name: z.string().optional().describe('the name of the projection; all when absent'),
    tenant: z.string().startsWith('ten_').optional().describe('of this tenant'),
    all: z.boolean().default(false).describe('of all tenants'),
    kept: z.boolean().default(false).describe('go on with the version that is kept'),
    stop_on_difference: z
      .boolean()
      .default(false)
      .describe('a difference keeps the new version from being read'),
    cancel: z
      .boolean()
      .default(false)
      .describe('give up what is running: of a projection of --tenant, or of one or all of them with --all'),
    detach: z.boolean().default(false).describe('do not wait for the end'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const { name, tenant, all, kept, stop_on_difference, cancel } = input;
    if ((tenant === undefined) === !all) throw new UsageError('of whom? give --tenant or --all');
    const api = openPlatformApi(input, config);
    if (cancel) {
      if (tenant === undefined) {
        const canceled = await api.post(
          '/v1/projection_rebuild_cancellations',
          name === undefined ? {} : { projection: name },
          AllCanceledSchema,
        );
        output.line(
          `canceled  ${canceled.projections.join(', ')} of all tenants: ${canceled.running_count} were running`,
        );
        output.json(canceled);
        return 0;
      }
      if (name === undefined) throw new UsageError('--cancel takes a name with --tenant');
      const path = `/v1/tenants/${tenant}/projection_rebuild_cancellations`;
      const canceled = await api.post(path, { projection: name }, z.looseObject({ version: z.number() }));
      output.line(`canceled  ${name} of ${tenant}: version ${canceled.version} is kept`);
      output.json(canceled);
      return 0;
    }
    const path =
      tenant === undefined ? '/v1/projection_rebuilds' : `/v1/tenants/${tenant}/projection_rebuilds`;
    const order = await api.post(
      path,
      {
        ...(name === undefined ? {} : { projections: [name] }),
        from: kept ? 'kept' : 'start',
        stops_on_difference: stop_on_difference,
      },
      OrderSchema,
    );
    if (input.detach) {
      output.line(`started  ${order.projections.join(', ')}`);
      output.json(order);
      return 0;
    }
    const ended =
      tenant === undefined
        ? await endedOfAll(api, order, output.progress)
        : await endedOf(api, tenant, order, output.progress);
    output.progress('');
    for (const each of ended.data) output.line(projectionLine(each));
    output.json({ data: ended.data });
    return ended.is_fine ? 0 : 1;
  },
});

type Order = z.infer<typeof OrderSchema>;

/** Once the order's rebuilds in all tenants have ended. What it has left alone there is shown, and says nothing of how it went. */
async function endedOfAll(api: Api, order: Order, progress: (text: string) => void) {
  const counts = await waitedForAll(api, order.id, progress);
  const data = [];
  for (const tenant of await listTenants(api)) data.push(...(await listOrdered(api, tenant, order)));
  const is_fine = counts.every((each) => each.failed + each.canceled + each.difference_count === 0);
  return { data, is_fine };
}

/** The same in one tenant, where an order that is taken has begun all that it names. */
async function endedOf(api: Api, tenant: string, order: Order, progress: (text: string) => void) {
  const data = await waited(api, tenant, order, progress);
  const is_fine = data.every(({ rebuild }) => rebuild?.status === 'swapped' && !rebuild.difference_count);
  return { data, is_fine };
}

/** How an order went in all tenants, once nothing that it has begun runs any longer. */
async function waitedForAll(api: Api, order_id: string, progress: (text: string) => void) {
  for (;;) {
    const { data } = await api.get(`/v1/projection_rebuilds?order=${order_id}`, ProgressSchema);
    const running = data.filter((each) => each.running > 0);
    if (running.length === 0) return data;
    const done = data.reduce((sum, each) => sum + each.positions_done, 0);
    const to_do = data.reduce((sum, each) => sum + each.positions_to_do, 0);
    progress(
      bar(
        'all tenants',
        to_do === 0 ? 0 : done / to_do,
        running.map((each) => `${each.projection} of ${each.running}`),
      ),
    );
    await setTimeout(poll_all_ms);
  }
}

/** The projections of a tenant, once none of these is being rebuilt. */
async function waited(api: Api, tenant: string, order: Order, progress: (text: string) => void) {
  for (;;) {
    const found = await listOrdered(api, tenant, order);
    const running = found.filter(({ rebuild }) => rebuild?.status === 'running');
    if (running.length === 0) return found;
    const done = found.reduce(
      (sum, { rebuild }) => sum + (rebuild?.status === 'running' ? rebuild.progress : 1),
      0,
    );
    progress(
      bar(
        tenant,
        done / found.length,
        running.map(({ name }) => name),
      ),
    );
    await setTimeout(poll_ms);
  }
}

async function listOrdered(api: Api, tenant: string, { projections }: Order) {
  return (await listProjections(api, tenant)).filter(({ name }) => projections.includes(name));
}

/** `ten_…  [#####.....] 50 %  balances` */
function bar(tenant: string, part: number, names: string[]): string {
  const full = Math.floor(part * 30);
  return `${tenant}  [${'#'.repeat(full)}${'.'.repeat(30 - full)}] ${Math.floor(part * 100)} %  ${names.join(', ')}`;
}
