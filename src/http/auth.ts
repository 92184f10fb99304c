// Who asks: the API key of the Authorization header, or a ticket in the query of a stream.
import type { IncomingMessage } from 'node:http';

/** The key as presented; undefined when there is none. Keys in the query are not looked for: URLs end up in logs. */
export function presentedKey(request: IncomingMessage): string | undefined {
  const given = request.headers.authorization;
  if (given === undefined) return undefined;
  if (given.startsWith('Bearer ')) return given.slice(7);
  return /^bearer +(\S+)$/i.exec(given)?.[1];
}

/** The ticket in a query. It opens one stream, once, so nothing is lost when it ends up in a log. */
export function presentedTicket(search: string): string | undefined {
  return /(?:^|&)ticket=([^&]*)/.exec(search)?.[1];
}
