import { z } from 'zod';
import type { Api } from './api.ts';
import { command } from './command.ts';
import { ofTenants, tenants_options } from './tenants.ts';

const ConsumerSchema = z.looseObject({
  name: z.string(),
  status: z.enum(['following', 'retrying', 'parked']),
  position: z.number(),
  lag_events: z.number(),
  lag_seconds: z.number(),
  reason: z.string().nullable(),
});
const ConsumersSchema = z.object({ data: z.array(ConsumerSchema) });
/** A consumer in a tenant's log; the tenant is null when it is the key's own. */
type Followed = z.infer<typeof ConsumerSchema> & { tenant: string | null };

export const consumersListCommand = command({
  name: 'consumers list',
  summary:
    'Shows how far what is derived from the log has come: yours, of a tenant, or of all; exit status 1 when one is parked',
  input: z.object(tenants_options),
  run: async ({ input, config, output }) => {
    const found = await ofTenants(input, config, listConsumers);
    for (const each of found) output.line(consumerLine(each));
    output.json({ data: found });
    return found.some(({ status }) => status === 'parked') ? 1 : 0;
  },
});

async function listConsumers(api: Api, tenant: string | null): Promise<Followed[]> {
  const path = tenant === null ? '/v1/consumers' : `/v1/tenants/${tenant}/consumers`;
  const { data } = await api.get(path, ConsumersSchema);
  return data.map((each) => ({ ...each, tenant }));
}

function consumerLine({ tenant, name, status, position, lag_events, lag_seconds, reason }: Followed): string {
  const whose = tenant === null ? '' : `${tenant}  `;
  const lag = lag_events === 0 ? 'caught up' : `${lag_events} events, ${lag_seconds.toFixed(1)} s behind`;
  return `${whose}${name.padEnd(16)} ${status.padEnd(10)} at ${position}, ${lag}${reason === null ? '' : `: ${reason}`}`;
}
