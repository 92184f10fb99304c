// Metrics name no tenant, but they say how the business goes: they are for the machine itself and for who holds the token.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { presentedKey } from './auth.ts';

/** True for a peer on the loopback that nobody forwards for, and for the bearer of the token. */
export function maySeeMetrics(request: IncomingMessage, token: string | undefined): boolean {
  const presented = presentedKey(request);
  if (token !== undefined && presented !== undefined)
    return timingSafeEqual(digest(presented), digest(token));
  const { forwarded, 'x-forwarded-for': forwarded_for } = request.headers;
  if (forwarded !== undefined || forwarded_for !== undefined) return false;
  const peer = request.socket.remoteAddress;
  return peer !== undefined && /^(127\.|::1$|::ffff:127\.)/.test(peer);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
