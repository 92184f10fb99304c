// What tests of webhooks over HTTP have in common.
import { z } from 'zod';
import type { Client } from '../../support/client.ts';
import { asSuperuser } from '../../support/database.ts';
import { anAccount, aTenant } from '../../support/factories.ts';
import type { TestServer } from '../../support/server.ts';
import type { Receiver } from './receiver.ts';

export const EndpointSchema = z.looseObject({
  id: z.string(),
  url: z.string(),
  status: z.string(),
  disabled_reason: z.string().nullable(),
  disabled_position: z.number().nullable(),
  failing_since: z.string().nullable(),
  signing: z.array(
    z.object({
      algorithm: z.string(),
      public_key: z.string().nullable(),
      created_at: z.string(),
      expires_at: z.string().nullable(),
    }),
  ),
});
export const CreatedSchema = EndpointSchema.extend({ secret: z.string().nullable() });
export const AttemptSchema = z.object({
  number: z.number(),
  started_at: z.string(),
  duration_ms: z.number(),
  status_code: z.number().nullable(),
  fault: z.string().nullable(),
  detail: z.string().nullable(),
  answer: z.string().nullable(),
});
export const DeliverySchema = z.looseObject({
  id: z.string(),
  event_id: z.string(),
  position: z.number(),
  type: z.string(),
  origin: z.string(),
  status: z.string(),
  attempts: z.number(),
  next_attempt_at: z.string().nullable(),
  last_attempt: AttemptSchema.nullable(),
});
const DeliveriesSchema = z.looseObject({ data: z.array(DeliverySchema) });
export const EventSchema = z.looseObject({
  id: z.string(),
  position: z.number(),
  type: z.string(),
  subject: z.string(),
});
export const EventsSchema = z.looseObject({ data: z.array(EventSchema) });
export const ProblemSchema = z.looseObject({
  code: z.string(),
  errors: z.array(z.looseObject({ pointer: z.string(), code: z.string() })).optional(),
});

export async function aClient(server: Pick<TestServer, 'client'>): Promise<Client & { tenant_id: string }> {
  const tenant = await aTenant();
  return Object.assign(server.client(tenant.api_key), { tenant_id: tenant.id });
}

export async function anEndpoint(api: Client, receiver: Receiver, options: Record<string, unknown> = {}) {
  const answer = await api.post('/v1/webhook_endpoints', { url: `${receiver.url}/hook`, ...options });
  return answer.as(CreatedSchema);
}

/** Accounts that are there before anybody listens. */
export async function twoAccounts(api: Client): Promise<{ debit: string; credit: string }> {
  const [one, other] = [await anAccount(api), await anAccount(api)];
  return { debit: one.id, credit: other.id };
}

export async function deliveriesOf(api: Client, endpoint_id: string) {
  const answer = await api.get(`/v1/webhook_endpoints/${endpoint_id}/deliveries?limit=200`);
  return answer.as(DeliveriesSchema).data;
}

/** Makes everything that waits due now, as time would. */
export async function timePasses(tenant_id: string): Promise<void> {
  const RowSchema = z.object({ id: z.string() });
  await asSuperuser(
    RowSchema,
    `update webhooks.delivery set due_at = now() where tenant_id = $1 and status = 'pending' and due_at > now() returning id`,
    [tenant_id],
  );
  await asSuperuser(
    RowSchema,
    'update webhooks.endpoint set resting_until = null where tenant_id = $1 and resting_until is not null returning id',
    [tenant_id],
  );
}

export const posted_only = { types: ['ledger.transaction_posted'] };
