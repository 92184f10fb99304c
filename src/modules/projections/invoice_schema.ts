// Invoices on the wire.
import { z } from 'zod';
import { ReadingQuerySchema } from '../../reading.ts';
import { DateSchema } from './days.ts';

const sum = z
  .string()
  .regex(/^(0|-?[1-9][0-9]*)$/)
  .meta({ description: 'Integer minor units', example: '10000' });

const AsOfDaySchema = DateSchema.optional().meta({
  description:
    'What was raised and paid by the end of this business day (UTC), and what was overdue on it. Absent: all that is recorded, overdue today',
  example: '2026-10-31',
});

const buckets = ['current', 'days_1_30', 'days_31_60', 'days_61_90', 'days_over_90'] as const;

export const InvoiceQuerySchema = ReadingQuerySchema.extend({
  as_of: AsOfDaySchema,
  invoice: z.string().max(500).optional(),
  customer: z.string().max(500).optional().meta({ example: 'alice' }),
  currency: z.string().max(12).optional().meta({ example: 'EUR' }),
  status: z
    .enum(['open', 'overdue', 'paid', 'overpaid'])
    .optional()
    .meta({ description: '`open` with something due, overdue or not' }),
});

export const InvoiceSchema = z
  .object({
    invoice: z.string().meta({ description: 'As transactions name it', example: 'inv_2026_001' }),
    customer: z.string().nullable().meta({ description: 'As stated last', example: 'alice' }),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    raised: sum,
    paid: sum.meta({ description: 'Payments, credit notes and write-offs' }),
    due: sum.meta({ description: '`raised` less `paid`; negative when overpaid' }),
    due_on: z.iso.date().nullable().meta({ description: 'As stated last', example: '2026-10-31' }),
    days_overdue: z.int().min(0),
    bucket: z.enum(buckets).nullable().meta({ description: 'Age of what is due; null when nothing is' }),
    status: z.enum(['open', 'overdue', 'paid', 'overpaid']),
    first_on: z.iso.date().meta({ description: 'Its first business day' }),
  })
  .meta({ id: 'Invoice' });

export const AgingQuerySchema = ReadingQuerySchema.extend({
  as_of: AsOfDaySchema,
  customer: z.string().max(500).optional().meta({ example: 'alice' }),
  currency: z.string().max(12).optional().meta({ example: 'EUR' }),
});

export const AgingSchema = z
  .object({
    customer: z.string().nullable(),
    currency: z.string(),
    scale: z.int(),
    invoice_count: z.int().meta({ description: 'Invoices that are not settled' }),
    due: sum,
    current: sum.meta({ description: 'Not yet overdue, or without a due date' }),
    days_1_30: sum,
    days_31_60: sum,
    days_61_90: sum,
    days_over_90: sum,
    overpaid: sum.meta({ description: 'Not taken off `due`' }),
  })
  .meta({ id: 'Aging', description: 'What a customer owes in a currency, by how long it has been overdue' });

/** `InvoiceSchema.bucket` of what is due */
export function bucketOf(days_overdue: number): (typeof buckets)[number] {
  if (days_overdue <= 0) return 'current';
  if (days_overdue <= 30) return 'days_1_30';
  if (days_overdue <= 60) return 'days_31_60';
  return days_overdue <= 90 ? 'days_61_90' : 'days_over_90';
}
