// API keys, roles, and who I am.
import { z } from 'zod';
import type { Database } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { checkIfMatch, etagHeader, taggedReply } from '../../etag.ts';
import { idSchema } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { type Principal, type Reply, type Route, readRoute, writeRoute } from '../../route.ts';
import { findTenant, NameSchema, renderTenant, TenantSchema } from '../tenants/index.ts';
import { forgetKey, tellOfKeys } from './authentication.ts';
import { createKey, findKey, keyId, listKeys, lockKey, renderKey, revokeKey, rotateKey } from './keys.ts';
import { coversRole, findRole } from './roles.ts';
import {
  CreatedKeySchema,
  type Key,
  KeySchema,
  type RoleName,
  RoleNameSchema,
  RoleSchema,
  RotatedKeySchema,
} from './schema.ts';

const tag = 'Access';
const day_seconds = 86_400;

const KeyPathSchema = z.strictObject({ key: idSchema('key') });

const ExpirySchema = InstantSchema.nullable().default(null).meta({
  description: 'From then on the key opens nothing; `null` means never',
});

const NewKeySchema = z.strictObject({
  name: NameSchema,
  role: RoleNameSchema,
  expires_at: ExpirySchema,
});

const RotationSchema = z.strictObject({
  overlap_seconds: z
    .int()
    .min(0)
    .max(30 * day_seconds)
    .default(day_seconds)
    .meta({ description: 'How long the old key goes on working; 0 ends it at once, the default is a day' }),
  expires_at: ExpirySchema,
});

/** Nobody hands out more than they have. */
function checkGrant(principal: Principal, role: RoleName): void {
  if (coversRole(principal.can, role)) return;
  throw new Problem('forbidden', `A key of the role ${principal.role} cannot give out the role ${role}`);
}

/** An answer that holds a secret. */
function secretReply(key: Key, shown: { api_key: string; previous?: Key }): Reply {
  const body = { ...key, ...shown };
  return { status: 201, body, redacted: { ...body, api_key: null }, headers: etagHeader(key) };
}

export function accessRoutes(database: Database): Route[] {
  return [
    writeRoute({
      method: 'post',
      path: '/v1/keys',
      operation_id: 'createKey',
      summary: 'Create an API key',
      description:
        'Its `api_key` is shown once, in this answer. A key cannot give out a role that may do more than itself.',
      tag,
      permission: { action: 'create', subject: 'key' },
      body: NewKeySchema,
      example: { name: 'Checkout service', role: 'integrator_write' },
      responses: { 201: CreatedKeySchema },
      tagged: true,
      problems: [],
      async handler(tx, input) {
        checkGrant(input.principal, input.body.role);
        const { key, api_key } = await createKey(tx, input.body);
        return secretReply(key, { api_key });
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/keys',
      operation_id: 'listKeys',
      summary: 'List API keys',
      description: 'In the order of their creation, without their secrets.',
      tag,
      permission: { action: 'read', subject: 'key' },
      query: PageQuerySchema.extend({ status: KeySchema.shape.status.optional() }),
      responses: { 200: pageSchema(KeySchema) },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      async handler(tx, input) {
        const request = pageRequest('keys', input.query, z.uuid());
        const rows = await listKeys(tx, { status: input.query.status ?? null }, request);
        return pageReply('keys', input, rows, (row) => row.id, renderKey);
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/keys/{key}',
      operation_id: 'getKey',
      summary: 'Read an API key',
      description: 'Without its secret. The ETag is for `If-Match` when it is rotated or revoked.',
      tag,
      permission: { action: 'read', subject: 'key' },
      params: KeyPathSchema,
      responses: { 200: KeySchema },
      tagged: true,
      problems: ['not_found'],
      async handler(tx, input) {
        return taggedReply(200, renderKey(await findKey(tx, keyId(input.params.key))));
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/keys/{key}/rotation',
      operation_id: 'rotateKey',
      summary: 'Rotate an API key',
      description:
        'Makes a new key of the same name and role, whose `api_key` is shown once. The old one goes on working for `overlap_seconds`. ' +
        '`If-Match` is about the old one, the ETag of the answer that of the new one.',
      tag,
      permission: { action: 'update', subject: 'key' },
      params: KeyPathSchema,
      body: RotationSchema,
      example: { overlap_seconds: day_seconds },
      responses: { 201: RotatedKeySchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed', 'key_revoked', 'key_expired', 'last_owner_key'],
      async handler(tx, input) {
        const id = keyId(input.params.key);
        const { key: current } = await lockKey(tx, id);
        checkGrant(input.principal, current.role);
        checkIfMatch(input, renderKey(current));
        const { key, api_key, previous } = await rotateKey(tx, id, input.body);
        forgetKey(database, id);
        return secretReply(key, { api_key, previous });
      },
      complete: async () => tellOfKeys(database),
    }),
    writeRoute({
      method: 'post',
      path: '/v1/keys/{key}/revocation',
      operation_id: 'revokeKey',
      summary: 'Revoke an API key',
      description: 'At once and for ever. A tenant keeps at least one owner key that never expires.',
      tag,
      permission: { action: 'update', subject: 'key' },
      params: KeyPathSchema,
      responses: { 201: KeySchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed', 'key_revoked', 'last_owner_key'],
      async handler(tx, input) {
        const id = keyId(input.params.key);
        checkIfMatch(input, renderKey((await lockKey(tx, id)).key));
        const revoked = await revokeKey(tx, id);
        forgetKey(database, id);
        return taggedReply(201, revoked);
      },
      complete: async () => tellOfKeys(database),
    }),
    readRoute({
      method: 'get',
      path: '/v1/roles',
      operation_id: 'listRoles',
      summary: 'List roles',
      description: 'What a key may do.',
      tag,
      permission: { action: 'read', subject: 'role' },
      responses: { 200: z.object({ data: z.array(RoleSchema) }) },
      problems: [],
      async handler() {
        return { status: 200, body: { data: RoleNameSchema.options.map(findRole) } };
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/me',
      operation_id: 'getMe',
      summary: 'Who am I',
      description: 'The tenant, key and permissions of the API key that asks.',
      tag,
      permission: { action: 'read', subject: 'me' },
      responses: {
        200: z.object({ tenant: TenantSchema, key: KeySchema, permissions: RoleSchema.shape.permissions }),
      },
      problems: [],
      async handler(tx) {
        const key = renderKey(await findKey(tx, tx.actor.actor_id));
        const tenant = renderTenant(await findTenant(tx, tx.actor.tenant_id));
        return { status: 200, body: { tenant, key, permissions: findRole(key.role).permissions } };
      },
    }),
  ];
}
