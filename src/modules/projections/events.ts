// What a tenant's log says of its projections.
import type { EventKind } from '../../event.ts';
import { NewReportDimensionSchema } from './report_dimensions.ts';

export const events: EventKind[] = [
  {
    type: 'projections.report_dimension_added',
    subject: 'tenant',
    description: 'From here on daily activity is split by the values of a metadata key as well',
    data: NewReportDimensionSchema,
  },
];
