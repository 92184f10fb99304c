// Strong ETags of mutable configuration: a fingerprint of the answer's bytes, so that a lost update is refused instead of overwritten.
import { hash } from 'node:crypto';
import { Problem } from './errors.ts';
import type { Input, Reply } from './route.ts';

/** A reply that carries the ETag of its body. */
export function taggedReply(status: number, body: unknown): Reply {
  const text = JSON.stringify(body);
  return { status, body: text, headers: { ETag: etagOf(text) } };
}

/** The header of an answer that holds more than the thing itself, such as its new secret. */
export function etagHeader(current: unknown): { ETag: string } {
  return { ETag: etagOf(JSON.stringify(current)) };
}

/**
 * Refuses a change that was made to an older state. `current` is what a GET would answer now; without `If-Match` every state will do.
 * Errors: `precondition_failed`.
 */
export function checkIfMatch(input: Pick<Input, 'headers'>, current: unknown): void {
  const wanted = input.headers['if-match'];
  if (wanted === undefined || wanted.trim() === '*') return;
  const etag = etagOf(JSON.stringify(current));
  // A weak tag never matches here (RFC 9110, 13.1.1).
  if (wanted.split(',').some((tag) => tag.trim() === etag)) return;
  throw new Problem('precondition_failed', 'It has changed since that ETag was read; read it again', {
    headers: { ETag: etag },
  });
}

function etagOf(text: string): string {
  return `"${hash('sha256', text, 'base64url').slice(0, 22)}"`;
}
