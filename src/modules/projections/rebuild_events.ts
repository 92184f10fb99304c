// What a tenant's log says of its projections: what was built anew, and what was dropped. The subject is the tenant.
import { z } from 'zod';
import type { EventKind } from '../../event.ts';

const rebuild = {
  projection: z.string().meta({ example: 'balances' }),
  number: z.int().meta({ description: 'Of the rebuild, 1, 2, 3 … of this projection' }),
  version: z.int().meta({ description: 'That it builds' }),
};

export const rebuild_events: EventKind[] = [
  {
    type: 'projections.rebuild_started',
    subject: 'tenant',
    description: 'A projection is built again beside the one that is read',
    data: z
      .object({
        ...rebuild,
        from_position: z.int().meta({ description: 'Where the new version stands: 0, unless one was kept' }),
      })
      .meta({ id: 'RebuildStarted' }),
  },
  {
    type: 'projections.rebuild_swapped',
    subject: 'tenant',
    description: 'What was built is read from now on; what was read is kept until it is dropped',
    data: z
      .object({
        ...rebuild,
        previous_version: z.int(),
        position: z.int().meta({ description: 'Where it stood' }),
        difference_count: z
          .int()
          .nullable()
          .meta({ description: 'Rows in which the two versions differed; null when they were not compared' }),
      })
      .meta({ id: 'RebuildSwapped' }),
  },
  {
    type: 'projections.rebuild_canceled',
    subject: 'tenant',
    description: 'A rebuild was given up; what it has built is kept until it is dropped',
    data: z.object(rebuild).meta({ id: 'RebuildCanceled' }),
  },
  {
    type: 'projections.rebuild_failed',
    subject: 'tenant',
    description: 'A rebuild failed; what was read is still read',
    data: z.object({ ...rebuild, reason: z.string() }).meta({ id: 'RebuildFailed' }),
  },
  {
    type: 'projections.projection_dropped',
    subject: 'tenant',
    description: 'Versions of a projection were dropped; one that was read is built again by its consumer',
    data: z.object({ projection: z.string(), versions: z.array(z.int()) }).meta({ id: 'ProjectionDropped' }),
  },
];
