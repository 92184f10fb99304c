// When a delivery that failed is tried again: the schedule of the Standard Webhooks spec, spread a little, so that what failed together
// does not come back together.

const second_ms = 1_000;
const minute_ms = 60 * second_ms;
const hour_ms = 60 * minute_ms;

/** after the first attempt, after the second … */
const retries_ms = [
  5 * second_ms,
  5 * minute_ms,
  30 * minute_ms,
  2 * hour_ms,
  5 * hour_ms,
  10 * hour_ms,
  14 * hour_ms,
  20 * hour_ms,
  24 * hour_ms,
];
/** What a receiver may ask for by Retry-After; beyond it the schedule is the better guess. */
const max_retry_after_ms = 24 * hour_ms;
const jitter = 0.2;

/** From now, after this many attempts; null when that was the last. `random` is from 0 to 1. */
export function retryInMs(attempts: number, random: number): number | null {
  const base_ms = retries_ms[attempts - 1];
  return base_ms === undefined ? null : Math.round(base_ms * (1 + jitter * (random - 0.5)));
}

/** A Retry-After header, seconds or a date, from now; null when it says nothing usable. */
export function retryAfterMs(header: string | null, now_ms: number): number | null {
  if (header === null) return null;
  const asked_ms = /^[0-9]{1,9}$/.test(header) ? Number(header) * second_ms : Date.parse(header) - now_ms;
  return Number.isFinite(asked_ms) && asked_ms > 0 ? Math.min(asked_ms, max_retry_after_ms) : null;
}
