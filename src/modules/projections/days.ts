// Days on the wire: calendar dates, those of UTC.
import { z } from 'zod';

const explained = 'a day is a date such as 2026-10-31';

/** Years begin with 1, as they do for Postgres. */
export const DateSchema = z.iso.date({ error: explained }).regex(/^(?!0000)/, explained);

const day_ms = 86_400_000;

export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** Whole days from the one to the other; negative when that comes first. */
export function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / day_ms;
}
