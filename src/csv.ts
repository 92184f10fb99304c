// Lists as CSV (RFC 4180), for spreadsheets that trust what they open.
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';

export const FormatSchema = z
  .enum(['json', 'csv'])
  .optional()
  .meta({ description: '`csv` answers `text/csv`, and so does `Accept: text/csv`. Default `json`' });

/** rows of one export: what is built in memory at once */
export const max_export_rows = 50_000;

export const csv_content_type = 'text/csv; charset=utf-8';

export function wantsCsv(format: 'json' | 'csv' | undefined, headers: IncomingHttpHeaders): boolean {
  if (format !== undefined) return format === 'csv';
  return headers.accept?.split(',').some((type) => /^\s*text\/csv\s*(;|$)/i.test(type)) === true;
}

/** A head and a line for each item; null is empty. What an object within an item holds has columns of its own: `posted_debits`. */
export function csvText(item: z.ZodObject, items: Record<string, unknown>[]): string {
  const lines = items.map((each) => cellsOf(item, each).join(','));
  return [columnsOf(item).join(','), ...lines, ''].join('\r\n');
}

function columnsOf(item: z.ZodObject): string[] {
  return Object.entries(item.shape).flatMap(([name, field]) =>
    field instanceof z.ZodObject ? columnsOf(field).map((inner) => `${name}_${inner}`) : [name],
  );
}

const InnerSchema = z.record(z.string(), z.unknown());

function cellsOf(item: z.ZodObject, values: Record<string, unknown>): string[] {
  return Object.entries(item.shape).flatMap(([name, field]) =>
    field instanceof z.ZodObject ? cellsOf(field, InnerSchema.parse(values[name])) : [cell(values[name])],
  );
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = guarded(String(value));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A spreadsheet takes what begins so (also in full width) for a formula and runs it, unless it is a number. */
function guarded(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) && !/^-?[0-9]+$/.test(text) ? `'${text}` : text;
}
