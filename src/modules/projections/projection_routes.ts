// How the tenant's own projections stand, and whether they are what the log says.
import { z } from 'zod';
import type { Database } from '../../db.ts';
import { callRoute, type Route } from '../../route.ts';
import { projections } from './manifest.ts';
import { findProjection, type Projection } from './projection.ts';
import {
  DifferencesQuerySchema,
  DifferencesSchema,
  ProjectionSchema,
  renderProjection,
} from './rebuild_schema.ts';
import { listProjectionStates, type ProjectionState } from './rebuilds.ts';
import { recountProjection } from './recounts.ts';

export function projectionRoutes(database: Database): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/projections',
      operation_id: 'listProjections',
      summary: 'See what is derived from the log',
      description:
        'Each projection with the version that is read, how far it has come, and its newest rebuild.',
      tag: 'Projections',
      permission: { action: 'read', subject: 'consumer' },
      responses: { 200: z.object({ data: z.array(ProjectionSchema) }) },
      problems: [],
      async handler({ principal }) {
        const data = await statesOf(database, principal.tenant_id, renderProjection);
        return { status: 200, body: { data } };
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/projection_differences',
      operation_id: 'listProjectionDifferences',
      summary: 'Recount projections',
      description:
        'Counts everything again from the log, in another way, and answers where the projection differs. Reads every entry.',
      tag: 'Projections',
      permission: { action: 'read', subject: 'consumer' },
      query: DifferencesQuerySchema,
      responses: { 200: z.object({ data: z.array(DifferencesSchema) }) },
      problems: ['not_found'],
      async handler({ principal, query }) {
        const data = [];
        for (const projection of recounted(query)) {
          const { differences } = await recountProjection(database, principal, projection);
          data.push({ projection: projection.name, difference_count: differences.length, differences });
        }
        return { status: 200, body: { data } };
      },
    }),
  ];
}

/** Errors: `not_found`. */
export function recounted({ projection }: z.infer<typeof DifferencesQuerySchema>): Projection[] {
  return projection === undefined
    ? projections
    : [findProjection(projections, projection, '#/query/projection')];
}

/** Each projection of a tenant, as it is shown. */
export async function statesOf<Shown>(
  database: Database,
  tenant_id: string,
  render: (projection: Projection, row: ProjectionState) => Shown,
): Promise<Shown[]> {
  const rows = await listProjectionStates(
    database,
    tenant_id,
    projections.map(({ name }) => name),
  );
  return rows.map((row) => render(findProjection(projections, row.projection, '#/path/projection'), row));
}
