// Routes of webhook endpoints.
import { z } from 'zod';
import { Problem } from '../../errors.ts';
import { checkIfMatch, etagHeader, taggedReply } from '../../etag.ts';
import type { EventKind } from '../../event.ts';
import { decodeId, idSchema, newUuid } from '../../id.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { type Reply, type Route, readRoute, writeRoute } from '../../route.ts';
import type { Caller } from './calls.ts';
import {
  createEndpoint,
  type Described,
  disableEndpoint,
  enableEndpoint,
  findEndpoint,
  listEndpoints,
  lockEndpoint,
  rotateSecret,
  updateEndpoint,
} from './endpoints.ts';
import {
  type Algorithm,
  AlgorithmSchema,
  CreatedWebhookEndpointSchema,
  DescriptionSchema,
  FormatSchema,
  OrderingSchema,
  TypesSchema,
  UrlSchema,
  type WebhookEndpoint,
  WebhookEndpointSchema,
} from './schema.ts';
import type { Vault } from './vault.ts';

const tag = 'Webhooks';
const day_seconds = 86_400;

export const EndpointPathSchema = z.strictObject({ webhook_endpoint: idSchema('webhook') });

export function endpointId(params: z.infer<typeof EndpointPathSchema>): string {
  return decodeId('webhook', params.webhook_endpoint, '#/path/webhook_endpoint');
}

const NewEndpointSchema = z.strictObject({
  url: UrlSchema,
  description: DescriptionSchema.default(null),
  types: TypesSchema.default(null),
  ordering: OrderingSchema.default('parallel'),
  format: FormatSchema.default('event'),
  algorithm: AlgorithmSchema.default('hmac'),
});

const PatchSchema = z.strictObject({
  url: UrlSchema.optional(),
  description: DescriptionSchema.optional(),
  types: TypesSchema.optional(),
  ordering: OrderingSchema.optional(),
  format: FormatSchema.optional(),
});

const RotationSchema = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(30 * day_seconds)
    .default(day_seconds)
    .meta({
      description: 'How long the old secret goes on signing beside the new one; the default is a day',
    }),
  algorithm: AlgorithmSchema.optional().meta({
    description: 'That of the present secret, unless it is given',
  }),
});

/** What signs for it at present. */
function algorithmOf({ signing: [newest] }: WebhookEndpoint): Algorithm {
  if (newest === undefined) throw new Error('nothing signs for the endpoint');
  return newest.algorithm;
}

/** An answer that holds a secret. */
function secretReply({ endpoint, secret }: { endpoint: WebhookEndpoint; secret: string | null }): Reply {
  const body = { ...endpoint, secret };
  return { status: 201, body, redacted: { ...body, secret: null }, headers: etagHeader(endpoint) };
}

export interface EndpointRoutesOptions {
  vault: Vault;
  caller: Pick<Caller, 'maybeRefusal'>;
  kinds: () => EventKind[];
  /** called before the transaction commits in which a tenant has an endpoint enabled */
  onEnabled: (tenant_id: string) => void;
}

export function endpointRoutes({ vault, caller, kinds, onEnabled }: EndpointRoutesOptions): Route[] {
  const check = ({ url, types }: Pick<Described, 'url' | 'types'>) => {
    const refusal = caller.maybeRefusal(url);
    if (refusal !== null) {
      throw new Problem('invalid_request', `#/url: ${refusal.detail}`, {
        errors: [{ pointer: '#/url', ...refusal }],
      });
    }
    const errors = (types ?? []).flatMap((type, index) =>
      kinds().some((kind) => kind.type === type)
        ? []
        : [
            {
              pointer: `#/types/${index}`,
              code: 'event_type_unknown',
              detail: 'there is no such event type',
            },
          ],
    );
    if (errors.length > 0)
      throw new Problem('invalid_request', '#/types: there is no such event type', { errors });
  };
  return [
    writeRoute({
      method: 'post',
      path: '/v1/webhook_endpoints',
      operation_id: 'createWebhookEndpoint',
      summary: 'Be called about events',
      description: [
        'Each event after this one is POSTed to the URL, at least once, signed by the Standard Webhooks spec: verify it with any of its libraries.',
        'Answer 2xx within 20 seconds; anything else is tried again over three days. Its `secret` is shown once, in this answer.',
      ].join(' '),
      tag,
      permission: { action: 'create', subject: 'webhook' },
      body: NewEndpointSchema,
      example: { url: 'https://example.com/hooks/lattice', types: ['ledger.transaction_posted'] },
      responses: { 201: CreatedWebhookEndpointSchema },
      tagged: true,
      problems: ['webhooks_not_configured', 'webhook_endpoints_exhausted'],
      async handler(tx, { body }) {
        check(body);
        const { algorithm, ...described } = body;
        onEnabled(tx.actor.tenant_id);
        return secretReply(await createEndpoint(tx, vault, newUuid(), described, algorithm));
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/webhook_endpoints',
      operation_id: 'listWebhookEndpoints',
      summary: 'List webhook endpoints',
      description: 'In the order of their creation, without their secrets.',
      tag,
      permission: { action: 'read', subject: 'webhook' },
      query: PageQuerySchema.extend({ status: WebhookEndpointSchema.shape.status.optional() }),
      responses: { 200: pageSchema(WebhookEndpointSchema) },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      async handler(tx, input) {
        const request = pageRequest('webhook_endpoints', input.query, z.uuid());
        const found = await listEndpoints(tx, { status: input.query.status ?? null }, request);
        return pageReply(
          'webhook_endpoints',
          input,
          found,
          ({ id }) => id,
          ({ endpoint }) => endpoint,
        );
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/webhook_endpoints/{webhook_endpoint}',
      operation_id: 'getWebhookEndpoint',
      summary: 'Read a webhook endpoint',
      description: 'Without its secret. The ETag is for `If-Match` when it is changed.',
      tag,
      permission: { action: 'read', subject: 'webhook' },
      params: EndpointPathSchema,
      responses: { 200: WebhookEndpointSchema },
      tagged: true,
      problems: ['not_found'],
      handler: async (tx, { params }) => taggedReply(200, await findEndpoint(tx, endpointId(params))),
    }),
    writeRoute({
      method: 'patch',
      path: '/v1/webhook_endpoints/{webhook_endpoint}',
      operation_id: 'updateWebhookEndpoint',
      summary: 'Change a webhook endpoint',
      description:
        'A JSON Merge Patch: what is absent stays. Holds for what is queued from then on; what is pending goes to the new URL.',
      tag,
      permission: { action: 'update', subject: 'webhook' },
      params: EndpointPathSchema,
      body: PatchSchema,
      example: { description: 'Till', types: ['ledger.transaction_posted'] },
      responses: { 200: WebhookEndpointSchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed'],
      async handler(tx, input) {
        const id = endpointId(input.params);
        const current = await lockEndpoint(tx, id);
        checkIfMatch(input, current);
        const given = Object.fromEntries(
          Object.entries(input.body).filter(([, value]) => value !== undefined),
        );
        const described: Described = { ...current, ...given };
        check(described);
        return taggedReply(200, await updateEndpoint(tx, id, described));
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/webhook_endpoints/{webhook_endpoint}/secret_rotation',
      operation_id: 'rotateWebhookSecret',
      summary: 'Rotate the secret of a webhook endpoint',
      description:
        'The new `secret` is shown once, in this answer. Until the overlap ends each call has a signature of each of them. A new key of ' +
        'ed25519 is in `signing`, the newest first.',
      tag,
      permission: { action: 'update', subject: 'webhook' },
      params: EndpointPathSchema,
      body: RotationSchema,
      example: { overlap_seconds: day_seconds },
      responses: { 201: CreatedWebhookEndpointSchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed', 'webhooks_not_configured'],
      async handler(tx, input) {
        const id = endpointId(input.params);
        const current = await lockEndpoint(tx, id);
        checkIfMatch(input, current);
        const { overlap_seconds, algorithm = algorithmOf(current) } = input.body;
        return secretReply(await rotateSecret(tx, vault, id, { overlap_seconds, algorithm }));
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/webhook_endpoints/{webhook_endpoint}/disablement',
      operation_id: 'disableWebhookEndpoint',
      summary: 'Disable a webhook endpoint',
      description:
        'It is not called any more: what is pending waits, and so does a call that was answered 410. What comes after `disabled_position`, be it from ' +
        'before the disablement, waits for a replay.',
      tag,
      permission: { action: 'update', subject: 'webhook' },
      params: EndpointPathSchema,
      responses: { 201: WebhookEndpointSchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed', 'webhook_not_enabled'],
      async handler(tx, input) {
        const id = endpointId(input.params);
        checkIfMatch(input, await lockEndpoint(tx, id));
        return taggedReply(201, await disableEndpoint(tx, id, 'asked'));
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/webhook_endpoints/{webhook_endpoint}/enablement',
      operation_id: 'enableWebhookEndpoint',
      summary: 'Enable a webhook endpoint',
      description:
        'What is pending goes on. What comes after `disabled_position` up to this enablement (`webhooks.endpoint_enabled`) comes by a replay.',
      tag,
      permission: { action: 'update', subject: 'webhook' },
      params: EndpointPathSchema,
      responses: { 201: WebhookEndpointSchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed', 'webhook_not_disabled', 'webhook_endpoints_exhausted'],
      async handler(tx, input) {
        const id = endpointId(input.params);
        checkIfMatch(input, await lockEndpoint(tx, id));
        onEnabled(tx.actor.tenant_id);
        return taggedReply(201, await enableEndpoint(tx, id));
      },
    }),
  ];
}
