// What whoever runs the platform does with the projections of a tenant: rebuild, cancel, drop, recount.
// One transaction is one tenant: the request's is the platform's, so the tenant's comes after it (or before its commit, where the answer depends on
// it), and does nothing the second time.
import { z } from 'zod';
import { type Database, systemActor, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { hash16 } from '../../hash.ts';
import { decodeId } from '../../id.ts';
import { callRoute, type Route, writeRoute } from '../../route.ts';
import { findTenant, TenantPathSchema, tenantOf } from '../tenants/index.ts';
import { projections } from './manifest.ts';
import { findProjection, type Projection } from './projection.ts';
import { recounted, statesOf } from './projection_routes.ts';
import { namedIn, orderOf, type RebuildOrders } from './rebuild_orders.ts';
import {
  CancellationSchema,
  DifferencesQuerySchema,
  DropSchema,
  NewCancellationSchema,
  NewDropSchema,
  NewRebuildSchema,
  renderTenantProjection,
  TenantDifferencesSchema,
  TenantProjectionSchema,
  TenantRebuildOrderSchema,
} from './rebuild_schema.ts';
import { listProjectionStates, maybeCancelRebuild, type ProjectionState } from './rebuilds.ts';
import { recountProjection } from './recounts.ts';
import { dropVersions, sweepVersions } from './versions.ts';

export function rebuildRoutes(database: Database, orders: RebuildOrders): Route[] {
  const tag = 'Projections';
  const may_read = { action: 'read', subject: 'tenant' } as const;
  const may_update = { action: 'update', subject: 'tenant' } as const;
  return [
    callRoute({
      method: 'get',
      path: '/v1/tenants/{tenant}/projections',
      operation_id: 'listTenantProjections',
      summary: "See how a tenant's projections stand",
      description: "Of any tenant, or of the platform's own log. For platform keys.",
      tag,
      permission: may_read,
      params: TenantPathSchema,
      responses: { 200: z.object({ data: z.array(TenantProjectionSchema) }) },
      problems: ['not_found'],
      async handler({ principal, params }) {
        const id = tenantOf(params);
        await database.read(principal, (tx) => findTenant(tx, id));
        return { status: 200, body: { data: await statesOf(database, id, renderTenantProjection) } };
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/tenants/{tenant}/projection_differences',
      operation_id: 'countTenantProjectionDifferences',
      summary: 'Recount projections of a tenant',
      description:
        'Counts everything again from the log, in another way, and answers in how many places the projection differs; the tenant is told in which. Reads every entry. For platform keys.',
      tag,
      permission: may_read,
      params: TenantPathSchema,
      query: DifferencesQuerySchema,
      responses: { 200: z.object({ data: z.array(TenantDifferencesSchema) }) },
      problems: ['not_found'],
      async handler({ principal, params, query }) {
        const id = tenantOf(params);
        await database.read(principal, (tx) => findTenant(tx, id));
        const data = [];
        for (const projection of recounted(query)) {
          const { differences } = await recountProjection(database, systemActor(id), projection);
          data.push({ projection: projection.name, difference_count: differences.length });
        }
        return { status: 200, body: { data } };
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/tenants/{tenant}/projection_rebuilds',
      operation_id: 'rebuildTenantProjections',
      summary: 'Rebuild projections of a tenant',
      description:
        'Each is built again beside the one that is read, compared with it, and takes its place in one transaction; reads are exact throughout. ' +
        'What it replaces is kept until it is dropped. All that is named begins, or nothing does: of requests at the same moment one is taken, and the ' +
        'others are 409 `rebuild_running`. For platform keys.',
      tag,
      permission: may_update,
      params: TenantPathSchema,
      body: NewRebuildSchema,
      example: { projections: ['balances'] },
      responses: { 201: TenantRebuildOrderSchema },
      problems: ['not_found', 'rebuild_running', 'version_not_kept'],
      // Begun before the answer is stored, so that whoever asks next is told. A request that is repeated is the same order, of the same id.
      async handler(tx, { params, body }, { key_hash, request_hash }) {
        const tenant_id = tenantOf(params);
        await findTenant(tx, tenant_id);
        const order_id = hash16(`rebuild order ${key_hash} ${request_hash}`);
        const order = orderOf(order_id, namedIn(body.projections), body);
        await orders.start(tenant_id, order);
        return { status: 201, body: { ...order, tenant_id: params.tenant } };
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/tenants/{tenant}/projection_rebuild_cancellations',
      operation_id: 'cancelTenantRebuild',
      summary: 'Cancel a rebuild',
      description:
        'What is read stays. What was built so far is kept, and can be gone on with by a rebuild `from: kept`. For platform keys.',
      tag,
      permission: may_update,
      params: TenantPathSchema,
      body: NewCancellationSchema,
      example: { projection: 'balances' },
      responses: { 201: CancellationSchema },
      problems: ['not_found', 'rebuild_not_running'],
      async handler(tx, { params, body }) {
        const named = [findProjection(projections, body.projection, '#/projection')];
        const [state] = await findStates(tx, tenantOf(params), named);
        if (state?.state !== 'running') throw new Problem('rebuild_not_running', 'It is not being rebuilt');
        return {
          status: 201,
          body: {
            tenant_id: params.tenant,
            projection: body.projection,
            number: state.number,
            version: state.rebuild_version,
            status: 'canceled',
          },
        };
      },
      async complete(answer) {
        const { tenant_id, projection, number, version } = CancellationSchema.parse(JSON.parse(answer));
        const found = findProjection(projections, projection, '#/projection');
        await database.transaction(systemActor(decodeId('tenant', tenant_id, '#/tenant_id')), (tx) =>
          maybeCancelRebuild(tx, { projection: found, number, version }),
        );
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/tenants/{tenant}/projection_drops',
      operation_id: 'dropTenantProjection',
      summary: 'Drop versions of a projection',
      description:
        'The version that is kept, or all: then its consumer builds it again, and until then balances are counted from the entries. ' +
        'The rows are gone when this is answered. For platform keys.',
      tag,
      permission: may_update,
      params: TenantPathSchema,
      body: NewDropSchema,
      example: { projection: 'balances' },
      responses: { 201: DropSchema },
      problems: ['not_found', 'rebuild_running', 'version_not_kept'],
      async handler(tx, { params, body }) {
        const named = [findProjection(projections, body.projection, '#/projection')];
        const [state] = await findStates(tx, tenantOf(params), named);
        if (state === undefined || state.state === 'running')
          throw new Problem('rebuild_running', `${body.projection} is being rebuilt`);
        if (body.versions === 'kept' && state.kept_version === null)
          throw new Problem('version_not_kept', 'There is no version to drop but the one that is read');
        return {
          status: 201,
          body: {
            tenant_id: params.tenant,
            projection: body.projection,
            version: body.versions === 'all' ? state.version : null,
            kept_version: state.kept_version,
          },
        };
      },
      async complete(answer) {
        const drop = DropSchema.parse(JSON.parse(answer));
        const found = findProjection(projections, drop.projection, '#/projection');
        const tenant_id = decodeId('tenant', drop.tenant_id, '#/tenant_id');
        await database.transaction(systemActor(tenant_id), (tx) => dropVersions(tx, found, drop));
        await sweepVersions(database, tenant_id, found);
      },
    }),
  ];

  /** Errors: `not_found`. */
  async function findStates(tx: Tx, tenant_id: string, named: Projection[]): Promise<ProjectionState[]> {
    await findTenant(tx, tenant_id);
    return listProjectionStates(
      database,
      tenant_id,
      named.map(({ name }) => name),
    );
  }
}
