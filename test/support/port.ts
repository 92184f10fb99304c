// Ports for servers that a test or the bench starts as processes, and stops and starts again on the same one.

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that a system gives to connections: with hundreds of them open, one would have the port before the server listens on it. */
const ports = { from: 10_000, below: 32_000 };

/** A port of the loopback interface where nobody listens. It is chosen by chance, as other files choose theirs at the same time. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(ports.from, ports.below);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
