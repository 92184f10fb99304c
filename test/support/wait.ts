// Waiting for a condition, never for a time.

const shortest_ms = 10;
const longest_ms = 50;
/** Long enough for a machine that has much else to do: only what never comes takes so long. */
const usual_timeout_ms = 30_000;

/**
 * Polls until `condition` answers something other than false, null or undefined, and answers that. Where no interval is given, the longer
 * it takes the less often it is asked: a condition may be a request, and asking is work that what is waited for has to do without.
 */
export async function waitFor<Value>(
  what: string,
  condition: () => Promise<Value> | Value,
  options: { timeout_ms?: number; interval_ms?: number } = {},
): Promise<Exclude<Value, false | null | undefined>> {
  const { timeout_ms = usual_timeout_ms, interval_ms } = options;
  const began = performance.now();
  for (;;) {
    const value = await condition();
    if (isThere(value)) return value;
    const waited_ms = performance.now() - began;
    if (waited_ms > timeout_ms) throw new Error(`waited ${timeout_ms} ms in vain until ${what}`);
    const pause_ms = interval_ms ?? Math.min(Math.max(waited_ms / 10, shortest_ms), longest_ms);
    await new Promise((resolve) => setTimeout(resolve, pause_ms));
  }
}

function isThere<Value>(value: Value): value is Exclude<Value, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
