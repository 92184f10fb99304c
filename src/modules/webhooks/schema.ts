// Endpoints and deliveries: rows, wire form and types in one.
import { z } from 'zod';
import { idSchema } from '../../id.ts';

export const OrderingSchema = z.enum(['parallel', 'ordered']).meta({
  description:
    '`parallel`: a delivery that fails holds up no other · `ordered`: one at a time, in the order of positions; one that fails holds up the rest',
});
export const FormatSchema = z.enum(['event', 'cloudevents']).meta({
  description:
    'The body: an event as in `GET /v1/events`, with a `timestamp`, or a CloudEvents 1.0 event in structured mode',
});
export const AlgorithmSchema = z.enum(['hmac', 'ed25519']).meta({
  description: '`hmac`: `v1`, with a shared secret · `ed25519`: `v1a`, with a public key',
});
export type Algorithm = z.infer<typeof AlgorithmSchema>;

export const UrlSchema = z.string().min(1).max(2_048);
export const TypesSchema = z
  .array(z.string().min(1).max(100))
  .min(1)
  .max(200)
  .nullable()
  .meta({
    description: 'Only events of these types; `null` means all',
    example: ['ledger.transaction_posted'],
  });
export const DescriptionSchema = z.string().min(1).max(500).nullable();

export const WebhookEndpointSchema = z
  .object({
    id: idSchema('webhook'),
    url: z.string(),
    description: z.string().nullable(),
    types: TypesSchema,
    ordering: OrderingSchema,
    format: FormatSchema,
    status: z.enum(['enabled', 'disabled']),
    disabled_at: z.string().nullable(),
    disabled_reason: z.enum(['asked', 'gone', 'failing']).nullable().meta({
      description:
        '`asked` by a key of yours · `gone`: it answered 410 · `failing`: nothing has succeeded for five days',
    }),
    disabled_position: z.int().nullable().meta({
      description:
        'What happened up to this position has been queued: replay what comes after it once the endpoint is enabled',
    }),
    failing_since: z.string().nullable().meta({ description: 'Its first failure since its last success' }),
    signing: z
      .array(
        z.object({
          algorithm: AlgorithmSchema,
          public_key: z.string().nullable().meta({ description: '`whpk_…`, to verify `v1a`' }),
          created_at: z.string(),
          expires_at: z.string().nullable().meta({ description: 'It signs until then' }),
        }),
      )
      .meta({ description: 'What signs at present, the newest first' }),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'WebhookEndpoint', description: 'Who is called about events' });

export type WebhookEndpoint = z.infer<typeof WebhookEndpointSchema>;

export const CreatedWebhookEndpointSchema = WebhookEndpointSchema.extend({
  secret: z.string().nullable().meta({
    description:
      '`whsec_…`, to verify `v1`; `null` for ed25519. Shown once, here: a repeated request gets it again only with the API key that first sent it',
  }),
}).meta({ id: 'CreatedWebhookEndpoint', description: 'An endpoint, with its new secret' });

export const WebhookDeliverySchema = z
  .object({
    id: idSchema('delivery'),
    endpoint_id: idSchema('webhook'),
    event_id: idSchema('event').meta({ description: 'The `webhook-id` of each of its calls' }),
    position: z.int(),
    type: z.string(),
    origin: z.enum(['log', 'redelivery', 'replay']),
    status: z.enum(['pending', 'succeeded', 'failed']),
    attempts: z.int(),
    next_attempt_at: z.string().nullable(),
    created_at: z.string(),
    finished_at: z.string().nullable(),
    last_attempt: z
      .object({
        number: z.int(),
        started_at: z.string(),
        duration_ms: z.int(),
        status_code: z.int().nullable(),
        fault: z.string().nullable().meta({
          description: 'Why it did not succeed',
          example: 'timeout',
        }),
        detail: z.string().nullable(),
        answer: z.string().nullable().meta({ description: 'The beginning of what was answered' }),
      })
      .nullable(),
  })
  .meta({ id: 'WebhookDelivery', description: 'One event for one endpoint, and what became of it' });

export const WebhookAttemptSchema = WebhookDeliverySchema.shape.last_attempt.unwrap();
