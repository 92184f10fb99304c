// The consumers of any tenant, the platform itself included, for who runs the platform: which of them lag, and how a parked one goes on.
import { z } from 'zod';
import type { Consumer } from '../../consumer.ts';
import { type Database, systemActor, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { decodeId, idSchema } from '../../id.ts';
import { callRoute, type Route, writeRoute } from '../../route.ts';
import {
  ConsumerListSchema,
  listConsumers,
  maybeResumeConsumer,
  ResumedSchema,
  ResumptionSchema,
} from '../log/index.ts';
import { TenantPathSchema, tenantOf } from './routes.ts';
import { findTenant } from './tenants.ts';

const PlatformResumedSchema = ResumedSchema.extend({
  tenant_id: idSchema('tenant'),
  parked_at: z.string().meta({ description: 'Which parking this ended' }),
}).meta({ id: 'TenantConsumerResumption' });

export function tenantConsumerRoutes(database: Database, consumers: () => Consumer[]): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/tenants/{tenant}/consumers',
      operation_id: 'listTenantConsumers',
      summary: "See how far a tenant's derived data has come",
      description: "Of any tenant, or of the platform's own log. For platform keys.",
      tag: 'Consumers',
      permission: { action: 'read', subject: 'tenant' },
      params: TenantPathSchema,
      responses: { 200: ConsumerListSchema },
      problems: ['not_found'],
      async handler({ principal, params }) {
        const id = tenantOf(params);
        await database.read(principal, (tx) => findTenant(tx, id));
        return { status: 200, body: { data: await listConsumers(database, id, consumers()) } };
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/tenants/{tenant}/consumer_resumptions',
      operation_id: 'resumeTenantConsumer',
      summary: 'Resume a parked consumer of a tenant',
      description:
        "It tries again at the event at which it stands; nothing is skipped. The tenant's log says that it was resumed. For platform keys.",
      tag: 'Consumers',
      permission: { action: 'update', subject: 'tenant' },
      params: TenantPathSchema,
      body: ResumptionSchema,
      example: { consumer: 'balances' },
      responses: { 201: PlatformResumedSchema },
      problems: ['not_found', 'consumer_not_parked'],
      async handler(tx, { params, body }) {
        const parked_at = await findParked(tx, tenantOf(params), body.consumer);
        return {
          status: 201,
          body: { tenant_id: params.tenant, consumer: body.consumer, status: 'following', parked_at },
        };
      },
      // One transaction is one tenant: the request's is the platform's, so the tenant's comes after it, and does nothing the second time.
      async complete(answer) {
        const resumed = PlatformResumedSchema.parse(JSON.parse(answer));
        const tenant_id = decodeId('tenant', resumed.tenant_id, '#/tenant_id');
        await database.transaction(systemActor(tenant_id), (tx) =>
          maybeResumeConsumer(tx, resumed.consumer, resumed.parked_at),
        );
      },
    }),
  ];

  /** Errors: `not_found`, `consumer_not_parked`. */
  async function findParked(tx: Tx, tenant_id: string, name: string): Promise<string> {
    await findTenant(tx, tenant_id);
    const found = (await listConsumers(database, tenant_id, consumers())).find((each) => each.name === name);
    if (found === undefined) throw new Problem('not_found', 'There is no such consumer');
    if (found.parked_at === null) throw new Problem('consumer_not_parked', 'The consumer is not parked');
    return found.parked_at;
  }
}
