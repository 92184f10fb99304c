// Dimensions: the metadata keys by whose values daily activity is split.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { InstantSchema } from '../../instant.ts';
import { appendEvent } from '../log/index.ts';

const sql = queries(import.meta.url, 'report_dimension_insert', 'report_dimension_list');

const DimensionKeySchema = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'a key is 1 to 64 letters, digits, `_`, `.` or `-`')
  .meta({ description: 'A key of the metadata of transactions', example: 'channel' });

export const NewReportDimensionSchema = z
  .strictObject({ key: DimensionKeySchema })
  .meta({ id: 'NewReportDimension', example: { key: 'channel' } });

export const ReportDimensionSchema = z
  .object({
    key: DimensionKeySchema,
    after_position: z.int().meta({ description: 'The key counts for transactions after this position' }),
    recorded_at: InstantSchema,
  })
  .meta({ id: 'ReportDimension' });
type ReportDimension = z.infer<typeof ReportDimensionSchema>;

/**
 * From its event on, activity is split by the values of this key, for ever. The event's subject is the tenant.
 * Errors: `report_dimension_taken`, `report_dimension_limit_reached`.
 */
export async function createReportDimension(tx: Tx, key: string): Promise<ReportDimension> {
  const { tenant_id } = tx.actor;
  // First the event: it takes the tenant's lock, so dimensions are numbered one after the other.
  const { position, recorded_at } = await appendEvent(tx, {
    type: 'projections.report_dimension_added',
    subject_id: tenant_id,
    data: { key },
  });
  return tx.one(
    sql.report_dimension_insert,
    { tenant_id, key, position, recorded_at },
    ReportDimensionSchema,
  );
}

export async function listReportDimensions(tx: Tx): Promise<ReportDimension[]> {
  return tx.many(sql.report_dimension_list, { tenant_id: tx.actor.tenant_id }, ReportDimensionSchema);
}

/** Errors: `not_found`. */
export async function checkDimension(tx: Tx, key: string): Promise<void> {
  const dimensions = await listReportDimensions(tx);
  if (dimensions.some((dimension) => dimension.key === key)) return;
  const detail = 'there is no such dimension of reports';
  throw new Problem('not_found', detail, {
    errors: [{ pointer: '#/query/dimension', code: 'not_found', detail }],
  });
}
