// A server of a test's own, for what the product does not answer or with other timeouts.
import { once } from 'node:events';
import { z } from 'zod';
import type { HttpServer } from '../../src/http/connections.ts';
import { atEnd } from '../support/database.ts';

/** Listens until the file is done; answers its URL. */
export async function listen(server: HttpServer): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return `http://127.0.0.1:${port}`;
}
