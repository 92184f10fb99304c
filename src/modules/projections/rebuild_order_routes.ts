// What whoever runs the platform does with the projections of all tenants at once: rebuild, see how that goes, cancel.
import { z } from 'zod';
import { decodeId, newUuid } from '../../id.ts';
import { callRoute, type Route, writeRoute } from '../../route.ts';
import { projections } from './manifest.ts';
import { findProjection } from './projection.ts';
import { namedIn, orderOf, type RebuildOrders } from './rebuild_orders.ts';
import {
  AllCancellationSchema,
  NewAllCancellationSchema,
  NewRebuildSchema,
  RebuildOrderSchema,
  RebuildProgressQuerySchema,
  RebuildProgressSchema,
} from './rebuild_schema.ts';

export function rebuildOrderRoutes(orders: RebuildOrders): Route[] {
  const tag = 'Projections';
  const may_read = { action: 'read', subject: 'tenant' } as const;
  const may_update = { action: 'update', subject: 'tenant' } as const;
  return [
    writeRoute({
      method: 'post',
      path: '/v1/projection_rebuilds',
      operation_id: 'rebuildProjections',
      summary: 'Rebuild projections of all tenants',
      description:
        "As for one tenant, for each and for the platform's own log; a projection that is being rebuilt already, or (`from: kept`) has no version to go on with, is left alone. For platform keys.",
      tag,
      permission: may_update,
      body: NewRebuildSchema,
      example: {},
      responses: { 201: RebuildOrderSchema },
      problems: ['not_found'],
      async handler(_tx, { body }) {
        return { status: 201, body: orderOf(newUuid(), namedIn(body.projections), body) };
      },
      complete: (answer) => orders.startAll(RebuildOrderSchema.parse(JSON.parse(answer))),
    }),
    callRoute({
      method: 'get',
      path: '/v1/projection_rebuilds',
      operation_id: 'countProjectionRebuilds',
      summary: 'See how rebuilds go over all tenants',
      description:
        'Of each projection, over the newest rebuild in each tenant: how many run and how they ended, and how many positions of the log are done. ' +
        'With `order` of the rebuilds that this order has begun. For platform keys.',
      tag,
      permission: may_read,
      query: RebuildProgressQuerySchema,
      responses: { 200: z.object({ data: z.array(RebuildProgressSchema) }) },
      problems: ['not_found'],
      async handler({ query }) {
        const { projection, order } = query;
        const named =
          projection === undefined
            ? projections
            : [findProjection(projections, projection, '#/query/projection')];
        const order_id = order === undefined ? null : decodeId('rebuild', order, '#/query/order');
        return { status: 200, body: { data: await orders.count(named, order_id) } };
      },
    }),
    writeRoute({
      method: 'post',
      path: '/v1/projection_rebuild_cancellations',
      operation_id: 'cancelRebuilds',
      summary: 'Cancel rebuilds of all tenants',
      description:
        'As for one tenant, for each in which it runs. They have ended when this is answered. Those of an order that is still being given out by another ' +
        'process may begin afterwards: `GET /v1/projection_rebuilds` tells, and another cancellation ends them. For platform keys.',
      tag,
      permission: may_update,
      body: NewAllCancellationSchema,
      example: { projection: 'balances' },
      responses: { 201: AllCancellationSchema },
      problems: ['not_found', 'rebuild_not_running'],
      async handler(tx, { body }) {
        const { projection } = body;
        const named =
          projection === undefined ? projections : [findProjection(projections, projection, '#/projection')];
        return { status: 201, body: await orders.cancellation(tx, named) };
      },
      complete: (answer) => orders.cancelAll(AllCancellationSchema.parse(JSON.parse(answer))),
    }),
  ];
}
