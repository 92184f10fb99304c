// Projections, their versions and their rebuilds on the wire.
import { z } from 'zod';
import { idSchema } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import type { Projection } from './projection.ts';
import { DifferenceSchema, type ProjectionState } from './rebuilds.ts';

const NameSchema = z.string().min(1).max(100).meta({ example: 'balances' });

const RebuildStateSchema = z
  .object({
    number: z.int().meta({ description: '1, 2, 3 … of this projection' }),
    version: z.int().meta({ description: 'That it builds' }),
    status: z.enum(['running', 'swapped', 'canceled', 'failed']),
    progress: z
      .number()
      .meta({ description: 'From 0 to 1, of the log as it was at the start', example: 0.42 }),
    position: z.int().meta({ description: 'Where the new version stands, or stood at the end' }),
    from_position: z.int(),
    to_position: z.int().meta({ description: 'The head of the log at the start' }),
    stops_on_difference: z.boolean(),
    started_at: InstantSchema,
    ended_at: InstantSchema.nullable(),
    previous_version: z.int().nullable().meta({ description: 'That was read until then' }),
    compared_position: z.int().nullable(),
    difference_count: z
      .int()
      .nullable()
      .meta({ description: 'Rows in which the versions differed; null when they were not compared' }),
    reason: z.string().nullable().meta({ description: 'Why it failed' }),
  })
  .meta({ id: 'Rebuild', description: 'What became of building a projection again' });

const StateSchema = z.object({
  name: NameSchema,
  description: z.string(),
  version: z.int().meta({ description: 'That is read' }),
  position: z.int().meta({ description: 'How far it has come' }),
  head_position: z.int(),
  lag_events: z.int(),
  kept: z
    .object({ version: z.int(), position: z.int() })
    .nullable()
    .meta({ description: 'The version that can be gone on with, until it is dropped' }),
});

export const TenantProjectionSchema = StateSchema.extend({
  rebuild: RebuildStateSchema.nullable().meta({ description: 'The newest' }),
}).meta({ id: 'TenantProjection', description: "A projection of a tenant's log" });

export const ProjectionSchema = StateSchema.extend({
  rebuild: RebuildStateSchema.extend({
    differences: z.array(DifferenceSchema).nullable().meta({ description: 'The first of them' }),
  }).nullable(),
}).meta({ id: 'Projection', description: 'What is derived from the log and kept, and how far it has come' });

export function renderProjection({ name, description }: Projection, row: ProjectionState) {
  const { version, position, head_position, kept_version, kept_position } = row;
  return {
    name,
    description,
    version,
    position,
    head_position,
    lag_events: Math.max(0, head_position - position),
    kept:
      kept_version === null || kept_position === null
        ? null
        : { version: kept_version, position: kept_position },
    rebuild: renderRebuild(row),
  };
}

function renderRebuild(row: ProjectionState) {
  const { number, rebuild_version, state, rebuild_position, from_position, to_position, ...rest } = row;
  const { stops_on_difference, started_at, ended_at, previous_version } = rest;
  const { compared_position, difference_count, differences, reason } = rest;
  if (number === null) return null;
  const begun = from_position ?? 0;
  const reached = rebuild_position ?? begun;
  const whole = (to_position ?? 0) - begun;
  return {
    number,
    version: rebuild_version,
    status: state,
    progress: whole <= 0 ? 1 : Math.max(0, Math.min(1, (reached - begun) / whole)),
    position: reached,
    from_position: begun,
    to_position,
    stops_on_difference,
    started_at,
    ended_at,
    previous_version,
    compared_position,
    difference_count,
    reason,
    differences,
  };
}

/** The same for whoever runs the platform, and sees nothing of what a tenant keeps. */
export function renderTenantProjection(projection: Projection, row: ProjectionState) {
  const { rebuild, ...state } = renderProjection(projection, row);
  if (rebuild === null) return { ...state, rebuild };
  const { differences: _differences, ...shown } = rebuild;
  return { ...state, rebuild: shown };
}

export const NewRebuildSchema = z.strictObject({
  projections: z
    .array(NameSchema)
    .min(1)
    .max(100)
    .optional()
    .meta({ description: 'Which; all when absent', example: ['balances'] }),
  from: z.enum(['start', 'kept']).default('start').meta({
    description:
      '`start`: from the first event · `kept`: go on with the version that is kept, such as the one before or one that was canceled',
  }),
  stops_on_difference: z
    .boolean()
    .default(false)
    .meta({ description: 'A difference between the versions fails the rebuild; what is read stays' }),
});

const ids = { id: idSchema('rebuild'), projections: z.array(z.string()), status: z.literal('running') };
const asked = {
  from: z.enum(['start', 'kept']),
  stops_on_difference: z.boolean(),
};

export const RebuildOrderSchema = z
  .object({ ...ids, ...asked })
  .meta({ id: 'RebuildOrder', description: 'What was asked for; how it goes is said by the projections' });

export const TenantRebuildOrderSchema = z
  .object({ ...ids, ...asked, tenant_id: idSchema('tenant') })
  .meta({ id: 'TenantRebuildOrder' });

export const NewCancellationSchema = z.strictObject({ projection: NameSchema });

export const CancellationSchema = z
  .object({
    tenant_id: idSchema('tenant'),
    projection: z.string(),
    number: z.int(),
    version: z.int(),
    status: z.literal('canceled'),
  })
  .meta({ id: 'RebuildCancellation' });

export const NewAllCancellationSchema = z.strictObject({
  projection: NameSchema.optional().meta({ description: 'Which; all when absent' }),
});

export const AllCancellationSchema = z
  .object({
    projections: z.array(z.string()),
    running_count: z.int().meta({ description: 'Rebuilds that ran when it was asked for' }),
    canceled_at: InstantSchema.meta({ description: 'Those that have begun since go on' }),
    status: z.literal('canceled'),
  })
  .meta({ id: 'RebuildsCancellation' });

export const RebuildProgressQuerySchema = z.strictObject({
  projection: NameSchema.optional().meta({ description: 'Which; all when absent' }),
  order: idSchema('rebuild')
    .optional()
    .meta({ description: 'The `id` that `POST /v1/projection_rebuilds` has answered' }),
});

const tenants = z.int().meta({ description: 'Tenants in which the newest rebuild stands so' });

export const RebuildProgressSchema = z
  .object({
    projection: z.string(),
    running: tenants,
    swapped: tenants,
    canceled: tenants,
    failed: tenants,
    positions_done: z.int().meta({ description: 'Of the logs as they were at the start' }),
    positions_to_do: z.int(),
    progress: z.number().meta({ description: 'From 0 to 1', example: 0.42 }),
    difference_count: z.int().meta({ description: 'Rows in which versions differed' }),
  })
  .meta({ id: 'RebuildProgress', description: 'How the rebuilds of a projection go over all tenants' });

export const NewDropSchema = z.strictObject({
  projection: NameSchema,
  versions: z
    .enum(['kept', 'all'])
    .default('kept')
    .meta({ description: '`all`: also the one that is read; its consumer then builds it again' }),
});

export const DropSchema = z
  .object({
    tenant_id: idSchema('tenant'),
    projection: z.string(),
    version: z.int().nullable().meta({ description: 'That was read and is dropped' }),
    kept_version: z.int().nullable().meta({ description: 'That was kept and is dropped' }),
  })
  .meta({ id: 'ProjectionDrop' });

export const DifferencesQuerySchema = z.strictObject({
  projection: NameSchema.optional().meta({ description: 'Which; all when absent' }),
});

const counted = z.int().meta({ description: 'Beyond a thousand not all are counted' });

export const DifferencesSchema = z
  .object({
    projection: z.string(),
    difference_count: counted,
    differences: z.array(
      z.object({ what: z.string(), expected: z.string().nullable(), found: z.string().nullable() }),
    ),
  })
  .meta({ id: 'ProjectionDifferences', description: 'Where it is not what a recount from the log says' });

export const TenantDifferencesSchema = z
  .object({ projection: z.string(), difference_count: counted })
  .meta({ id: 'TenantProjectionDifferences' });
