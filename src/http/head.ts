// What HTTP/1.1 itself asks of the head of a request, whatever the request is for.
import type { IncomingMessage } from 'node:http';
import { Problem } from '../errors.ts';

/** `/v1/me` of `http://ledger.internal/v1/me` too: what is meant for proxies every server has to take (RFC 9112, 3.2.2). */
export function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  const [, rest] = /^https?:\/\/[^/?]*(.*)$/i.exec(target) ?? [];
  if (rest === undefined) return target;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

/** `invalid_request` without a Host (RFC 9112, 3.2), `expectation_failed` (RFC 9110, 10.1.1); null when there is nothing to refuse. */
export function headRefusal({ headers, httpVersion }: IncomingMessage): Problem | null {
  if (httpVersion !== '1.1') return null;
  const { host, expect } = headers;
  if (host === undefined) {
    const pointer = '#/header/Host';
    const detail = 'a request of HTTP/1.1 names its host';
    return new Problem('invalid_request', `${pointer}: ${detail}`, {
      errors: [{ pointer, code: 'required', detail }],
    });
  }
  if (expect !== undefined && !/\b100-continue\b/i.test(expect)) {
    return new Problem('expectation_failed', 'Of what a request may expect, only 100-continue is known here');
  }
  return null;
}
