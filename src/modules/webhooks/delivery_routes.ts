// Routes of the delivery log, and of deliveries asked for again.
import { z } from 'zod';
import { Problem } from '../../errors.ts';
import { decodeId, idSchema } from '../../id.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { type Route, readRoute, writeRoute } from '../../route.ts';
import {
  findDelivery,
  listAttempts,
  listDeliveries,
  max_replay_positions,
  renderDelivery,
  repeatDelivery,
  replayRange,
} from './deliveries.ts';
import { EndpointPathSchema, endpointId } from './endpoint_routes.ts';
import { findEndpoint } from './endpoints.ts';
import { ReplaySchema } from './events.ts';
import { WebhookAttemptSchema, WebhookDeliverySchema } from './schema.ts';

const tag = 'Webhooks';

const DeliveryPathSchema = z.strictObject({ webhook_delivery: idSchema('delivery') });

function deliveryId(params: z.infer<typeof DeliveryPathSchema>): string {
  return decodeId('delivery', params.webhook_delivery, '#/path/webhook_delivery');
}

const position = z.int().nonnegative();

const ReplayRequestSchema = z.strictObject({
  after: position.meta({ description: 'The events after this position …' }),
  up_to: position.meta({ description: '… up to this one' }),
});

export const delivery_routes: Route[] = [
  readRoute({
    method: 'get',
    path: '/v1/webhook_endpoints/{webhook_endpoint}/deliveries',
    operation_id: 'listWebhookDeliveries',
    summary: 'Read the delivery log of an endpoint',
    description: 'The newest first, each with its last attempt.',
    tag,
    permission: { action: 'read', subject: 'webhook' },
    params: EndpointPathSchema,
    query: PageQuerySchema.extend({ status: WebhookDeliverySchema.shape.status.optional() }),
    responses: { 200: pageSchema(WebhookDeliverySchema) },
    problems: ['not_found', 'cursor_invalid', 'cursor_mismatch'],
    async handler(tx, input) {
      const endpoint_id = endpointId(input.params);
      await findEndpoint(tx, endpoint_id);
      const list = `webhook_deliveries ${endpoint_id}`;
      const request = pageRequest(list, input.query, z.uuid());
      const filters = { endpoint_id, status: input.query.status ?? null };
      const rows = await listDeliveries(tx, filters, request);
      return pageReply(list, input, rows, (row) => row.id, renderDelivery);
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/webhook_deliveries/{webhook_delivery}',
    operation_id: 'getWebhookDelivery',
    summary: 'Read a delivery',
    description: 'With each of its attempts.',
    tag,
    permission: { action: 'read', subject: 'webhook' },
    params: DeliveryPathSchema,
    responses: {
      200: WebhookDeliverySchema.extend({ attempt_log: z.array(WebhookAttemptSchema) }).meta({
        id: 'WebhookDeliveryWithAttempts',
      }),
    },
    problems: ['not_found'],
    async handler(tx, { params }) {
      const id = deliveryId(params);
      const delivery = renderDelivery(await findDelivery(tx, id));
      return { status: 200, body: { ...delivery, attempt_log: await listAttempts(tx, id) } };
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/webhook_deliveries/{webhook_delivery}/redelivery',
    operation_id: 'repeatWebhookDelivery',
    summary: 'Deliver an event again',
    description:
      'Whatever became of the first delivery. The `webhook-id` is the same, so a receiver that has it can tell.',
    tag,
    permission: { action: 'update', subject: 'webhook' },
    params: DeliveryPathSchema,
    responses: { 201: WebhookDeliverySchema },
    problems: ['not_found', 'webhook_not_enabled'],
    handler: async (tx, { params }) => ({ status: 201, body: await repeatDelivery(tx, deliveryId(params)) }),
  }),
  writeRoute({
    method: 'post',
    path: '/v1/webhook_endpoints/{webhook_endpoint}/replay',
    operation_id: 'replayWebhookRange',
    summary: 'Deliver a range of events again',
    description: `What the endpoint wants of at most ${max_replay_positions} positions of the log, delivered before or not.`,
    tag,
    permission: { action: 'update', subject: 'webhook' },
    params: EndpointPathSchema,
    body: ReplayRequestSchema,
    example: { after: 0, up_to: 100 },
    responses: { 201: ReplaySchema },
    problems: ['not_found', 'webhook_not_enabled', 'replay_too_long'],
    async handler(tx, { params, body }) {
      if (body.up_to < body.after) {
        const detail = 'a range ends after it begins';
        throw new Problem('invalid_request', `#/up_to: ${detail}`, {
          errors: [{ pointer: '#/up_to', code: 'range_backwards', detail }],
        });
      }
      return { status: 201, body: await replayRange(tx, endpointId(params), body) };
    },
  }),
];
