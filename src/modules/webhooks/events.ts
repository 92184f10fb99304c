// What a tenant's log says of its webhooks. Never a secret.
import { z } from 'zod';
import type { EventKind } from '../../event.ts';
import { WebhookDeliverySchema, WebhookEndpointSchema } from './schema.ts';

const endpoint = { subject: 'webhook' as const, data: WebhookEndpointSchema };

export const ReplaySchema = z
  .object({
    endpoint_id: WebhookEndpointSchema.shape.id,
    after: z.int(),
    up_to: z.int(),
    deliveries: z.int().meta({ description: 'How many events of the range it wants; they are on their way' }),
  })
  .meta({ id: 'WebhookReplay' });

export const events: EventKind[] = [
  { ...endpoint, type: 'webhooks.endpoint_created', description: 'A webhook endpoint was created' },
  { ...endpoint, type: 'webhooks.endpoint_updated', description: 'A webhook endpoint was changed' },
  {
    ...endpoint,
    type: 'webhooks.endpoint_disabled',
    description:
      'A webhook endpoint is not called any more: somebody asked for it, it is gone, or it kept failing',
  },
  { ...endpoint, type: 'webhooks.endpoint_enabled', description: 'A webhook endpoint is called again' },
  {
    ...endpoint,
    type: 'webhooks.secret_rotated',
    description:
      'Calls of a webhook endpoint are signed with a new secret; the old one goes on signing beside it for a while',
  },
  {
    type: 'webhooks.delivery_repeated',
    description: 'Somebody asked for an event to be delivered again',
    subject: 'webhook',
    data: WebhookDeliverySchema.pick({ id: true, endpoint_id: true, event_id: true, position: true }),
  },
  {
    type: 'webhooks.range_replayed',
    description: 'Somebody asked for a range of events to be delivered again',
    subject: 'webhook',
    data: ReplaySchema,
  },
];
