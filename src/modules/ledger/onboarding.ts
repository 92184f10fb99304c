// A tenant comes with books: one request makes the tenant, its owner's key and its chart of accounts.
//
// Two transactions, because one transaction is one tenant. The first is the platform's: the tenant's row, which holds all that the
// second needs, the event in the platform's log and the key of the request. The second is the tenant's own: it makes the tenant active
// and writes its first events, assets, owner key and accounts, or nothing. A crash in between leaves a tenant that is `opening`;
// repeating the request, or the next start of a process, opens it.
import { z } from 'zod';
import { type Database, platform_tenant_id, system_actor_id } from '../../db.ts';
import { decodeId, encodeId, idSchema, newUuid } from '../../id.ts';
import { type Reply, type Route, writeRoute } from '../../route.ts';
import { addKey, CreatedKeySchema, newApiKey } from '../access/index.ts';
import {
  CurrencySchema,
  createTenant,
  listOpening,
  ModeSchema,
  maybeOpenTenant,
  NameSchema,
  NewAssetSchema,
  renderTenant,
  SlugSchema,
  TemplateNameSchema,
  TenantSchema,
} from '../tenants/index.ts';
import { createAccount } from './accounts.ts';

const NewTenantSchema = z.strictObject({
  slug: SlugSchema,
  name: NameSchema,
  mode: ModeSchema.default('live'),
  template: TemplateNameSchema,
  currency: CurrencySchema.meta({ description: "Of the template's accounts: ISO 4217, or one of `assets`" }),
  assets: z
    .array(NewAssetSchema)
    .max(100)
    .refine(
      (assets) => new Set(assets.map((asset) => asset.currency)).size === assets.length,
      'an asset is registered once',
    )
    .default([])
    .meta({ description: 'Units of account that ISO 4217 does not know' }),
});

type NewTenant = z.infer<typeof NewTenantSchema>;

const OpenedTenantSchema = TenantSchema.extend({
  owner_key: CreatedKeySchema.pick({ id: true, api_key: true }),
}).meta({ id: 'OpenedTenant', description: "A tenant that is ready to post, with its owner's key" });

/** The tenant's own transaction. What is open stays as it is, so any number of processes may try at once. */
async function openBooks(database: Database, tenant_id: string): Promise<void> {
  const request_id = encodeId('request', newUuid());
  await database.transaction({ tenant_id, actor_id: system_actor_id, request_id }, async (tx) => {
    const opening = await maybeOpenTenant(tx);
    if (opening === null) return;
    await addKey(tx, { ...opening.owner_key, name: 'Owner', role: 'owner' });
    for (const account of opening.accounts) {
      await createAccount(tx, { ...account, currency: opening.currency });
    }
  });
}

/** Opens what an interrupted process has left; for the start of one. */
export async function finishOpenings(database: Database): Promise<void> {
  const request_id = encodeId('request', newUuid());
  const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id };
  for (const tenant_id of await database.read(platform, listOpening)) await openBooks(database, tenant_id);
}

type OpenedTenant = z.infer<typeof OpenedTenantSchema>;

/** The platform's transaction. */
async function beginTenant(tx: Parameters<typeof createTenant>[0], tenant: NewTenant): Promise<OpenedTenant> {
  const { assets, ...rest } = tenant;
  const { api_key, ...owner_key } = newApiKey(tenant.mode);
  const row = await createTenant(tx, { ...rest, opening: { owner_key, assets } });
  // Nobody reads this answer before the tenant is open.
  return {
    ...renderTenant({ ...row, status: 'active' }),
    owner_key: { id: encodeId('key', owner_key.id), api_key },
  };
}

const AnswerSchema = z.object({ id: idSchema('tenant') });

export function onboardingRoutes(database: Database): Route[] {
  return [
    writeRoute({
      method: 'post',
      path: '/v1/tenants',
      operation_id: 'createTenant',
      summary: 'Create a tenant',
      description:
        "Ready to post: with the accounts of a template, its assets, and an owner's key that is shown once. For platform keys.",
      tag: 'Tenants',
      permission: { action: 'create', subject: 'tenant' },
      body: NewTenantSchema,
      example: { slug: 'acme-pay', name: 'Acme Payments', template: 'psp', currency: 'EUR' },
      responses: { 201: OpenedTenantSchema },
      problems: ['asset_taken', 'currency_unknown', 'tenant_slug_taken'],
      async handler(tx, input): Promise<Reply> {
        const body = await beginTenant(tx, input.body);
        return { status: 201, body, redacted: { ...body, owner_key: { ...body.owner_key, api_key: null } } };
      },
      async complete(answer) {
        await openBooks(database, decodeId('tenant', AnswerSchema.parse(JSON.parse(answer)).id, '#/id'));
      },
    }),
  ];
}
