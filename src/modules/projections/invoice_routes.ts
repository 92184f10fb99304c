// Routes of invoices.
import type { Database } from '../../db.ts';
import { readingSchema } from '../../reading.ts';
import { callRoute, type Route } from '../../route.ts';
import { today } from './days.ts';
import { AgingQuerySchema, AgingSchema, InvoiceQuerySchema, InvoiceSchema } from './invoice_schema.ts';
import { InvoiceKeySchema, listAging, listInvoices, renderAging, renderInvoice } from './invoices.ts';
import { projection_problems, replyProjection } from './reading.ts';

const tag = 'Invoices';
const permission = { action: 'read', subject: 'report' } as const;

export function invoiceRoutes(database: Database): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/invoices',
      operation_id: 'listInvoices',
      summary: 'List invoices',
      description:
        'What transactions came to under each invoice that their metadata names: `invoice`, and beside it `customer` and `due_on`. Debits to ' +
        'receivables (assets with `receivables` or `loans` among the segments of their code, allowances apart) are raised, credits are paid; ' +
        'captures and reversals belong to the invoice of their target, and a reversal takes back what that did. Holds do not count.',
      tag,
      permission,
      query: InvoiceQuerySchema,
      responses: { 200: readingSchema(InvoiceSchema) },
      csv: true,
      problems: projection_problems,
      handler: (input) =>
        replyProjection(database, input, {
          projection: 'invoices',
          list: 'invoices',
          key: InvoiceKeySchema,
          item: InvoiceSchema,
          read: (tx, version, page) => listInvoices(tx, version, input.query, page),
          keyOf: ({ invoice, currency }) => [invoice, currency],
          render: (row) => renderInvoice(row, input.query.as_of ?? today()),
        }),
    }),
    callRoute({
      method: 'get',
      path: '/v1/invoices/aging',
      operation_id: 'listAging',
      summary: 'Read what each customer owes',
      description:
        'Per customer and currency, what is due on invoices that are not settled, by how many days it has been overdue.',
      tag,
      permission,
      query: AgingQuerySchema,
      responses: { 200: readingSchema(AgingSchema) },
      csv: true,
      problems: projection_problems,
      handler: (input) =>
        replyProjection(database, input, {
          projection: 'invoices',
          list: 'aging',
          key: InvoiceKeySchema,
          item: AgingSchema,
          read: (tx, version, page) => listAging(tx, version, input.query, page),
          keyOf: ({ customer_key, currency }) => [customer_key, currency],
          render: renderAging,
        }),
    }),
  ];
}
