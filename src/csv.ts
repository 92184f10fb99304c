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

/** A head and a line for each row; null is empty. */
export function csvText(columns: string[], rows: Record<string, unknown>[]): string {
  const lines = rows.map((row) => columns.map((column) => cell(row[column])).join(','));
  return [columns.join(','), ...lines, ''].join('\r\n');
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
