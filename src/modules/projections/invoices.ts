// Invoices: what transactions that name them came to on accounts of receivables.
import { z } from 'zod';
import { queries, type Tx } from '../../db.ts';
import type { PageRequest } from '../../page.ts';
import { daysBetween, today } from './days.ts';
import {
  type AgingQuerySchema,
  type AgingSchema,
  bucketOf,
  type InvoiceQuerySchema,
  type InvoiceSchema,
} from './invoice_schema.ts';
import type { Projection } from './projection.ts';

const sql = queries(
  import.meta.url,
  'invoices_apply',
  'invoices_recount',
  'invoices_state',
  'invoice_list',
  'invoice_aging_list',
);

export const invoices: Projection = {
  name: 'invoices',
  description: 'Sums what was raised and paid under each invoice that transactions name',
  tables: ['invoices_v', 'invoice_days_v', 'invoice_transactions_v'],
  within_ms: 930,
  apply: sql.invoices_apply,
  recount: sql.invoices_recount,
  state: sql.invoices_state,
};

/** where a page ended: invoice or customer, and currency */
export const InvoiceKeySchema = z.tuple([z.string(), z.string()]);
type InvoicePage = PageRequest<z.infer<typeof InvoiceKeySchema>>;

const RowSchema = z.object({
  invoice: z.string(),
  currency: z.string(),
  scale: z.number(),
  customer: z.string().nullable(),
  due_on: z.string().nullable(),
  first_on: z.string(),
  raised: z.string(),
  paid: z.string(),
});
export type InvoiceRow = z.infer<typeof RowSchema>;

/** In the order of their names, byte by byte. */
export async function listInvoices(
  tx: Tx,
  version: number,
  query: z.infer<typeof InvoiceQuerySchema>,
  page: InvoicePage,
): Promise<InvoiceRow[]> {
  const [after_invoice, after_currency] = page.after ?? [null, null];
  return tx.many(
    sql.invoice_list,
    {
      tenant_id: tx.actor.tenant_id,
      version,
      as_of: query.as_of ?? null,
      today: query.as_of ?? today(),
      invoice: query.invoice ?? null,
      customer: query.customer ?? null,
      currency: query.currency ?? null,
      status: query.status ?? null,
      after_invoice,
      after_currency,
      row_limit: page.row_limit,
    },
    RowSchema,
  );
}

/** `on` is the day on which it is looked at. */
export function renderInvoice(row: InvoiceRow, on: string): z.infer<typeof InvoiceSchema> {
  const due = BigInt(row.raised) - BigInt(row.paid);
  const late = row.due_on === null ? 0 : daysBetween(row.due_on, on);
  const days_overdue = due > 0n ? Math.max(0, late) : 0;
  return {
    invoice: row.invoice,
    customer: row.customer,
    currency: row.currency,
    scale: row.scale,
    raised: row.raised,
    paid: row.paid,
    due: `${due}`,
    due_on: row.due_on,
    days_overdue,
    bucket: due > 0n ? bucketOf(days_overdue) : null,
    status: due > 0n ? (days_overdue > 0 ? 'overdue' : 'open') : due < 0n ? 'overpaid' : 'paid',
    first_on: row.first_on,
  };
}

const AgingRowSchema = z.object({
  customer_key: z.string(),
  customer: z.string().nullable(),
  currency: z.string(),
  scale: z.number(),
  invoice_count: z.number(),
  due: z.string(),
  current: z.string(),
  days_1_30: z.string(),
  days_31_60: z.string(),
  days_61_90: z.string(),
  days_over_90: z.string(),
  overpaid: z.string(),
});
export type AgingRow = z.infer<typeof AgingRowSchema>;

/** In the order of customers, those that nobody has named first. */
export async function listAging(
  tx: Tx,
  version: number,
  query: z.infer<typeof AgingQuerySchema>,
  page: InvoicePage,
): Promise<AgingRow[]> {
  const [after_customer, after_currency] = page.after ?? [null, null];
  return tx.many(
    sql.invoice_aging_list,
    {
      tenant_id: tx.actor.tenant_id,
      version,
      as_of: query.as_of ?? null,
      today: query.as_of ?? today(),
      customer: query.customer ?? null,
      currency: query.currency ?? null,
      after_customer,
      after_currency,
      row_limit: page.row_limit,
    },
    AgingRowSchema,
  );
}

export function renderAging({ customer_key: _key, ...aging }: AgingRow): z.infer<typeof AgingSchema> {
  return aging;
}
