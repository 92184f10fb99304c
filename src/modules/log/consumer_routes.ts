// How far the tenant's consumers have come, and how a parked one goes on.
import { z } from 'zod';
import type { Consumer } from '../../consumer.ts';
import type { Database } from '../../db.ts';
import { callRoute, type Route, writeRoute } from '../../route.ts';
import { ConsumerSchema, listConsumers, resumeConsumer } from './consumers.ts';

export const ConsumerListSchema = z.object({ data: z.array(ConsumerSchema) });

export const ResumptionSchema = z.strictObject({
  consumer: z.string().min(1).max(100).meta({ description: 'Its name', example: 'balances' }),
});

export const ResumedSchema = z
  .object({ consumer: z.string(), status: z.literal('following') })
  .meta({ id: 'ConsumerResumption' });

export function consumerRoutes(database: Database, consumers: () => Consumer[]): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/consumers',
      operation_id: 'listConsumers',
      summary: 'See how far derived data has come',
      description:
        'Everything that follows the log, such as projections, seals and webhooks: how far it has come, and whether it is in trouble.',
      tag: 'Consumers',
      permission: { action: 'read', subject: 'consumer' },
      responses: { 200: ConsumerListSchema },
      problems: [],
      async handler({ principal }) {
        return {
          status: 200,
          body: { data: await listConsumers(database, principal.tenant_id, consumers()) },
        };
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/consumer_resumptions',
      operation_id: 'resumeConsumer',
      summary: 'Resume a parked consumer',
      description:
        'It tries again at the event at which it stands; nothing is skipped. When it fails there as often again, it is parked again.',
      tag: 'Consumers',
      permission: { action: 'update', subject: 'consumer' },
      body: ResumptionSchema,
      example: { consumer: 'balances' },
      responses: { 201: ResumedSchema },
      problems: ['not_found', 'consumer_not_parked'],
      async handler(tx, { body }) {
        await resumeConsumer(tx, body.consumer, consumers());
        return { status: 201, body: { consumer: body.consumer, status: 'following' } };
      },
    }),
  ];
}
