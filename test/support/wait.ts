// Waiting for a condition, never for a time.

/** Polls until `condition` answers something other than false, null or undefined, and answers that. */
export async function waitFor<Value>(
  what: string,
  condition: () => Promise<Value> | Value,
  options: { timeout_ms?: number; interval_ms?: number } = {},
): Promise<Exclude<Value, false | null | undefined>> {
  const { timeout_ms = 10_000, interval_ms = 10 } = options;
  const deadline = performance.now() + timeout_ms;
  for (;;) {
    const value = await condition();
    if (isThere(value)) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeout_ms} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, interval_ms));
  }
}

function isThere<Value>(value: Value): value is Exclude<Value, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
