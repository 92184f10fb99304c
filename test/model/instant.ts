// Instants of the model: microseconds since 1970 as bigint, so that the boundary of an expiry or of a time axis is exact.

const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/;

/** RFC 3339 in UTC → microseconds */
export function parseInstant(text: string): bigint {
  const parts = form.exec(text);
  const seconds = parts?.[1];
  if (parts === null || seconds === undefined) throw new Error(`not an instant: ${text}`);
  const fraction = parts[2] === undefined ? '0' : parts[2].padEnd(6, '0');
  return BigInt(Date.parse(`${seconds}Z`)) * 1000n + BigInt(fraction);
}

/** The same of what a client has sent, which may end in `+00:00`. */
export function parseSent(text: string): bigint {
  return parseInstant(text.replace(/\+00:00$/, 'Z'));
}

/** microseconds → RFC 3339 as clients send it: half of the instants in Python's way */
export function sentText(instant: bigint): string {
  const text = instantText(instant);
  return instant % 2n === 0n ? text : text.replace('Z', '+00:00');
}

/** microseconds → RFC 3339 in UTC with six decimals */
export function instantText(instant: bigint): string {
  const micros = ((instant % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((instant - micros) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${micros.toString().padStart(6, '0')}Z`;
}

/** This machine's clock, which the tests share with their Postgres. */
export function clockNow(): bigint {
  return BigInt(Date.now()) * 1000n;
}
