// Who may call what: each role at each route. The table is written by hand; a route that is not in it fails the test.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createUnstartedModules } from '../../../scripts/openapi.ts';
import { platform_tenant_id } from '../../../src/db.ts';
import type { RoleName } from '../../../src/modules/access/index.ts';
import { permissionsOf } from '../../../src/modules/access/roles.ts';
import { RoleNameSchema } from '../../../src/modules/access/schema.ts';
import { aKey, aTenant } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

const server = await startServer();

const owner: RoleName[] = ['owner'];
const posters: RoleName[] = ['owner', 'operator', 'integrator_write'];
const staff: RoleName[] = ['owner', 'operator', 'auditor'];
const tenant: RoleName[] = [...staff, 'integrator_read', 'integrator_write'];
const platform: RoleName[] = ['platform'];
const everyone: RoleName[] = [...tenant, ...platform];

const allowed: Record<string, RoleName[]> = {
  'GET /v1/me': everyone,
  'GET /v1/roles': everyone,
  'GET /v1/tenant': everyone,
  'GET /v1/events': everyone,
  'GET /v1/events/stream': everyone,
  'POST /v1/stream_tickets': everyone,
  'GET /v1/consumers': [...staff, ...platform],
  'POST /v1/consumer_resumptions': ['owner', 'operator', ...platform],

  'GET /v1/schedules': [...staff, ...platform],
  'GET /v1/schedules/{job}': [...staff, ...platform],
  'PUT /v1/schedules': ['owner', 'operator', ...platform],
  'GET /v1/dead_letters': [...staff, ...platform],
  'GET /v1/dead_letters/{dead_letter}': [...staff, ...platform],
  'POST /v1/dead_letters/{dead_letter}/retry': ['owner', 'operator', ...platform],
  'POST /v1/dead_letters/{dead_letter}/dismissal': ['owner', 'operator', ...platform],

  'POST /v1/keys': [...owner, ...platform],
  'GET /v1/keys': [...staff, ...platform],
  'GET /v1/keys/{key}': [...staff, ...platform],
  'POST /v1/keys/{key}/rotation': [...owner, ...platform],
  'POST /v1/keys/{key}/revocation': [...owner, ...platform],

  'POST /v1/tenants': platform,
  'GET /v1/tenants': platform,
  'GET /v1/tenants/{tenant}': platform,
  'PATCH /v1/tenants/{tenant}': platform,
  'POST /v1/tenants/{tenant}/suspension': platform,
  'POST /v1/tenants/{tenant}/reactivation': platform,
  'GET /v1/tenants/{tenant}/consumers': platform,
  'POST /v1/tenants/{tenant}/consumer_resumptions': platform,

  'GET /v1/tenants/{tenant}/projections': platform,
  'GET /v1/tenants/{tenant}/projection_differences': platform,
  'POST /v1/tenants/{tenant}/projection_rebuilds': platform,
  'POST /v1/tenants/{tenant}/projection_rebuild_cancellations': platform,
  'POST /v1/tenants/{tenant}/projection_drops': platform,
  'POST /v1/projection_rebuilds': platform,
  'GET /v1/projection_rebuilds': platform,
  'POST /v1/projection_rebuild_cancellations': platform,
  'GET /v1/projections': [...staff, ...platform],
  'GET /v1/projection_differences': [...staff, ...platform],

  'POST /v1/assets': owner,
  'GET /v1/assets': tenant,
  'GET /v1/assets/{currency}': tenant,

  'POST /v1/accounts': posters,
  'GET /v1/accounts': tenant,
  'GET /v1/accounts/{account}': tenant,
  'PATCH /v1/accounts/{account}': posters,
  'POST /v1/accounts/{account}/closure': posters,
  'POST /v1/accounts/{account}/reopening': posters,
  'GET /v1/accounts/{account}/balance': tenant,
  'GET /v1/balances/stream': tenant,
  'GET /v1/accounts/{account}/entries': tenant,
  'GET /v1/balances': tenant,
  'GET /v1/trial_balance': tenant,
  'GET /v1/proof': everyone,
  'GET /v1/proof/chain': everyone,
  'GET /v1/blocks': everyone,
  'GET /v1/blocks/{block}': everyone,
  'GET /v1/checkpoint': everyone,
  'GET /v1/signing_keys': everyone,
  'POST /v1/proof/resumption': ['owner', 'operator'],

  'POST /v1/report_dimensions': owner,
  'GET /v1/report_dimensions': tenant,
  'GET /v1/reports/daily_activity': tenant,
  'GET /v1/balances/daily': tenant,
  'GET /v1/invoices': tenant,
  'GET /v1/invoices/aging': tenant,
  'GET /v1/projections/{projection}/stream': tenant,

  'POST /v1/transactions': posters,
  'POST /v1/transactions/bulk': posters,
  'POST /v1/transactions/{transaction}/capture': posters,
  'POST /v1/transactions/{transaction}/void': posters,
  'POST /v1/transactions/{transaction}/reversal': posters,
  'GET /v1/transactions': tenant,
  'GET /v1/transactions/{transaction}': tenant,
  'GET /v1/transactions/{transaction}/receipt': everyone,

  'POST /v1/webhook_endpoints': ['owner', 'operator'],
  'GET /v1/webhook_endpoints': staff,
  'GET /v1/webhook_endpoints/{webhook_endpoint}': staff,
  'PATCH /v1/webhook_endpoints/{webhook_endpoint}': ['owner', 'operator'],
  'POST /v1/webhook_endpoints/{webhook_endpoint}/secret_rotation': ['owner', 'operator'],
  'POST /v1/webhook_endpoints/{webhook_endpoint}/disablement': ['owner', 'operator'],
  'POST /v1/webhook_endpoints/{webhook_endpoint}/enablement': ['owner', 'operator'],
  'POST /v1/webhook_endpoints/{webhook_endpoint}/replay': ['owner', 'operator'],
  'GET /v1/webhook_endpoints/{webhook_endpoint}/deliveries': staff,
  'GET /v1/webhook_deliveries/{webhook_delivery}': staff,
  'POST /v1/webhook_deliveries/{webhook_delivery}/redelivery': ['owner', 'operator'],
};

/** ids of things that do not exist: whether a route is denied must not depend on what is there */
const missing: Record<string, string> = {
  account: 'acc_01h455vb4pex5vsknk084sn02q',
  transaction: 'txn_01h455vb4pex5vsknk084sn02q',
  key: 'key_01h455vb4pex5vsknk084sn02q',
  tenant: 'ten_01h455vb4pex5vsknk084sn02q',
  currency: 'POINTS',
  dead_letter: 'dlt_01h455vb4pex5vsknk084sn02q',
  webhook_endpoint: 'whk_01h455vb4pex5vsknk084sn02q',
  webhook_delivery: 'del_01h455vb4pex5vsknk084sn02q',
};

const routes = createUnstartedModules().flatMap((module) => module.routes);
const roles = RoleNameSchema.options;

const ProblemSchema = z.looseObject({ code: z.string(), required_permission: z.string().optional() });

test('each route has a line in the table, and each line a route', () => {
  const names = routes.map((route) => `${route.method.toUpperCase()} ${route.path}`);
  expect(names.length).toBeGreaterThan(30);
  expect(names.sort()).toEqual(Object.keys(allowed).sort());
});

test('each role is let in or denied at each route as the table says', async () => {
  const { id } = await aTenant();
  const keys = new Map<RoleName, string>();
  for (const role of roles) {
    const { api_key } = await aKey(role === 'platform' ? platform_tenant_id : id, role);
    keys.set(role, api_key);
  }
  const wrong: string[] = [];
  for (const route of routes) {
    const method = route.method.toUpperCase();
    const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => missing[name] ?? 'missing');
    for (const role of roles) {
      // A stream would not end; one that is asked to begin nowhere is refused after it was allowed.
      const options = route.kind === 'stream' ? { headers: { 'Last-Event-ID': 'nowhere' } } : {};
      const answer = await server.client(keys.get(role) ?? null).send(method, path, undefined, options);
      const is_allowed = allowed[`${method} ${route.path}`]?.includes(role) === true;
      const is_denied = answer.status === 403;
      if (is_allowed === is_denied) wrong.push(`${role}: ${method} ${route.path} → ${answer.status}`);
      if (!is_denied) continue;
      const { action, subject } = route.permission ?? { action: 'nothing', subject: 'nothing' };
      const problem = ProblemSchema.parse(answer.body);
      expect(problem).toMatchObject({ code: 'forbidden', required_permission: `${action}:${subject}` });
    }
  }
  expect(wrong).toEqual([]);
});

test('without a key every route is the same 401', async () => {
  for (const route of routes) {
    const method = route.method.toUpperCase();
    const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => missing[name] ?? 'missing');
    const answer = await server.client(null).send(method, path, undefined);
    expect([answer.status, answer.headers.get('www-authenticate')], path).toEqual([401, 'Bearer']);
    expect(ProblemSchema.parse(answer.body).code).toBe('unauthenticated');
  }
});

test('a denied request is denied whatever else is wrong with it', async () => {
  const { id } = await aTenant();
  const { api_key } = await aKey(id, 'auditor');
  const options = { key: null, raw: '{"', headers: { 'Content-Type': 'text/plain' } };
  const answer = await server.client(api_key).post('/v1/transactions', undefined, options);
  expect(ProblemSchema.parse(answer.body).code).toBe('forbidden');
});

test('whoever writes within limits cannot force a reversal, whoever answers for the books can', async () => {
  const { id } = await aTenant();
  const path = `/v1/transactions/${missing.transaction}/reversal`;
  const outcomes: Record<string, string> = {};
  for (const role of posters) {
    const { api_key } = await aKey(id, role);
    const answer = await server.client(api_key).post(path, { force: true });
    outcomes[role] = ProblemSchema.parse(answer.body).code;
  }
  expect(outcomes).toEqual({ owner: 'not_found', operator: 'not_found', integrator_write: 'forbidden' });
});

test('no role has a permission that no route asks for', () => {
  const asked = new Set(
    routes.map((route) => (route.permission === null ? '' : Object.values(route.permission).join(':'))),
  );
  asked.add('force:transaction');
  const idle = roles.flatMap((role) =>
    permissionsOf(role)
      .map(({ action, subject }) => `${action}:${subject}`)
      .filter((permission) => !asked.has(permission))
      .map((permission) => `${role} ${permission}`),
  );
  expect(idle).toEqual([]);
});

test('only the platform holds a permission over other tenants', () => {
  const over_tenants = roles.filter((role) =>
    permissionsOf(role).some(({ subject }) => subject === 'tenant'),
  );
  expect(over_tenants).toEqual(['platform']);
});

test('whoever only reads holds nothing but read permissions', () => {
  for (const role of ['auditor', 'integrator_read'] as const) {
    expect(new Set(permissionsOf(role).map(({ action }) => action))).toEqual(new Set(['read']));
  }
});
