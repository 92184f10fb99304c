// What the platform does with tenants, and what a tenant sees of itself. (POST /v1/tenants is the ledger's: a tenant comes with books.)
import { z } from 'zod';
import { checkIfMatch, taggedReply } from '../../etag.ts';
import { decodeId, idSchema } from '../../id.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { type Route, readRoute, writeRoute } from '../../route.ts';
import { createAsset, findAsset, listAssets } from './assets.ts';
import { AssetSchema, NameSchema, NewAssetSchema, TenantSchema } from './schema.ts';
import {
  findOtherTenant,
  findTenant,
  listTenants,
  lockTenant,
  reactivateTenant,
  renameTenant,
  renderTenant,
  suspendTenant,
} from './tenants.ts';

export const TenantPathSchema = z.strictObject({ tenant: idSchema('tenant') });

export function tenantOf(params: { tenant: string }): string {
  return decodeId('tenant', params.tenant, '#/path/tenant');
}

export const routes: Route[] = [
  readRoute({
    method: 'get',
    path: '/v1/tenants',
    operation_id: 'listTenants',
    summary: 'List tenants',
    description: 'In the order of their creation. For platform keys.',
    tag: 'Tenants',
    permission: { action: 'read', subject: 'tenant' },
    query: PageQuerySchema.extend({ status: TenantSchema.shape.status.optional() }),
    responses: { 200: pageSchema(TenantSchema) },
    problems: ['cursor_invalid', 'cursor_mismatch'],
    async handler(tx, input) {
      const request = pageRequest('tenants', input.query, z.uuid());
      const rows = await listTenants(tx, { ...request, status: input.query.status ?? null });
      return pageReply('tenants', input, rows, (row) => row.id, renderTenant);
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/tenants/{tenant}',
    operation_id: 'getTenant',
    summary: 'Read a tenant',
    description: 'The ETag is for `If-Match` when it is changed. For platform keys.',
    tag: 'Tenants',
    permission: { action: 'read', subject: 'tenant' },
    params: TenantPathSchema,
    responses: { 200: TenantSchema },
    tagged: true,
    problems: ['not_found'],
    async handler(tx, input) {
      return taggedReply(200, renderTenant(await findOtherTenant(tx, tenantOf(input.params))));
    },
  }),
  writeRoute({
    method: 'patch',
    path: '/v1/tenants/{tenant}',
    operation_id: 'renameTenant',
    summary: 'Rename a tenant',
    description: 'Its slug, mode, template and currency stay what they are. For platform keys.',
    tag: 'Tenants',
    permission: { action: 'update', subject: 'tenant' },
    params: TenantPathSchema,
    body: z.strictObject({ name: NameSchema }),
    example: { name: 'Acme Payments' },
    responses: { 200: TenantSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed'],
    async handler(tx, input) {
      const id = tenantOf(input.params);
      checkIfMatch(input, renderTenant(await lockTenant(tx, id)));
      return taggedReply(200, renderTenant(await renameTenant(tx, id, input.body.name)));
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/tenants/{tenant}/suspension',
    operation_id: 'suspendTenant',
    summary: 'Suspend a tenant',
    description:
      'From now on its keys are answered 403 `tenant_suspended`; its books stay as they are. For platform keys.',
    tag: 'Tenants',
    permission: { action: 'update', subject: 'tenant' },
    params: TenantPathSchema,
    responses: { 201: TenantSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed', 'tenant_not_active'],
    async handler(tx, input) {
      const id = tenantOf(input.params);
      checkIfMatch(input, renderTenant(await lockTenant(tx, id)));
      return taggedReply(201, renderTenant(await suspendTenant(tx, id)));
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/tenants/{tenant}/reactivation',
    operation_id: 'reactivateTenant',
    summary: 'Reactivate a suspended tenant',
    description: 'Its keys work again. For platform keys.',
    tag: 'Tenants',
    permission: { action: 'update', subject: 'tenant' },
    params: TenantPathSchema,
    responses: { 201: TenantSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed', 'tenant_not_suspended'],
    async handler(tx, input) {
      const id = tenantOf(input.params);
      checkIfMatch(input, renderTenant(await lockTenant(tx, id)));
      return taggedReply(201, renderTenant(await reactivateTenant(tx, id)));
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/tenant',
    operation_id: 'getOwnTenant',
    summary: 'Read your own tenant',
    description: 'The tenant that the API key belongs to.',
    tag: 'Tenants',
    permission: { action: 'read', subject: 'own_tenant' },
    responses: { 200: TenantSchema },
    tagged: true,
    problems: [],
    async handler(tx) {
      return taggedReply(200, renderTenant(await findTenant(tx, tx.actor.tenant_id)));
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/assets',
    operation_id: 'createAsset',
    summary: 'Register an asset',
    description:
      'A unit of account that ISO 4217 does not know, for ever: its scale gives meaning to every amount booked in it.',
    tag: 'Assets',
    permission: { action: 'create', subject: 'asset' },
    body: NewAssetSchema,
    example: { currency: 'POINTS', scale: 0, name: 'Loyalty points' },
    responses: { 201: AssetSchema },
    problems: ['asset_taken'],
    async handler(tx, input) {
      return { status: 201, body: await createAsset(tx, input.body) };
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/assets',
    operation_id: 'listAssets',
    summary: 'List assets',
    description: 'What the tenant has registered, in the order of the codes. ISO 4217 is not among them.',
    tag: 'Assets',
    permission: { action: 'read', subject: 'asset' },
    query: PageQuerySchema,
    responses: { 200: pageSchema(AssetSchema) },
    problems: ['cursor_invalid', 'cursor_mismatch'],
    async handler(tx, input) {
      const rows = await listAssets(tx, pageRequest('assets', input.query, z.string()));
      return pageReply(
        'assets',
        input,
        rows,
        (row) => row.currency,
        (row) => row,
      );
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/assets/{currency}',
    operation_id: 'getAsset',
    summary: 'Read an asset',
    description: 'One that the tenant has registered.',
    tag: 'Assets',
    permission: { action: 'read', subject: 'asset' },
    params: z.strictObject({ currency: z.string() }),
    responses: { 200: AssetSchema },
    problems: ['not_found'],
    async handler(tx, input) {
      return { status: 200, body: await findAsset(tx, input.params.currency) };
    },
  }),
];
