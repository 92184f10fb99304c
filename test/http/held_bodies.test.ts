// Bodies that are held, by a client that does not send the rest or by a database that does not come to them.
import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { Problem } from '../../src/errors.ts';
import { Bodies } from '../../src/http/body.ts';
import { Exchange } from '../../src/http/exchange.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { Shares } from '../../src/http/shares.ts';
import { encodeId } from '../../src/id.ts';
import { aKey, aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';
import { listen } from './listening.ts';
import { openSocket, type RawConnection, requestHead } from './socket.ts';

const server = await startServer();
const body = JSON.stringify({ code: 'held:1', type: 'liability', currency: 'EUR' });

const mebibyte = 1024 * 1024;

/** Begins a request, and answers when its body is asked for. */
async function begin(path: string, api_key: string, length_bytes: number): Promise<RawConnection> {
  const connection = await openSocket(server.url);
  onTestFinished(() => {
    connection.socket.destroy();
  });
  const headers = {
    'Idempotency-Key': randomUUID(),
    'Content-Type': 'application/json',
    'Content-Length': length_bytes,
    Expect: '100-continue',
  };
  connection.socket.write(requestHead(path, headers, api_key));
  await waitFor('the body is asked for', () => connection.received().includes('100 Continue\r\n\r\n'));
  return connection;
}

async function finalStatus(connection: RawConnection): Promise<string> {
  return waitFor(
    'the answer is there',
    () => /HTTP\/1\.1 ([2-5]\d\d)/.exec(connection.received())?.[1] ?? null,
  );
}

test('a key that is revoked while a body is held back opens nothing for it', async () => {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const leaked = await aKey(tenant.id, 'integrator_write');
  const connection = await begin('/v1/accounts', leaked.api_key, body.length);
  connection.socket.write(body.slice(0, 10));
  expect((await api.post(`/v1/keys/${encodeId('key', leaked.actor_id)}/revocation`)).status).toBe(201);
  connection.socket.write(body.slice(10));
  expect(await finalStatus(connection)).toBe('401');
  expect((await api.get('/v1/accounts/held:1')).status).toBe(404);
});

test('one tenant has half of the room for bodies, as long as they are in work, and others have the rest', async () => {
  const bodies = new Bodies();
  const in_work: Buffer[] = [];
  const holding = createHttpServer((request, response) => {
    const exchange = new Exchange(request, response);
    Promise.resolve(bodies.read(exchange, exchange.path, mebibyte * 32)).then(
      (body) => {
        in_work.push(body);
        response.end('in work');
      },
      (error) => response.end(error instanceof Problem ? error.code : String(error)),
    );
  });
  const url = await listen(holding);
  const post = async (tenant: string, body: Uint8Array<ArrayBuffer>) =>
    (await fetch(`${url}/${tenant}`, { method: 'POST', body })).text();
  const [long, short] = [new Uint8Array(mebibyte * 32), new Uint8Array(1)];
  const answers = [];
  for (let i = 0; i < 4; i += 1) answers.push(await post('a', long));
  answers.push(await post('a', short), await post('b', short));
  bodies.release('/a', in_work.shift() ?? Buffer.alloc(0));
  answers.push(await post('a', short));
  expect(answers).toEqual([...Array(4).fill('in work'), 'overloaded', 'in work', 'in work']);
});

test('one tenant has half of the whole, and what is given back can be taken again', () => {
  const shares = new Shares(10);
  expect([shares.take('a', 3), shares.take('a', 3), shares.take('a', 2)]).toEqual([true, false, true]);
  expect([shares.take('b', 4), shares.take('c', 2), shares.take('c', 1)]).toEqual([true, false, true]);
  shares.giveBack('a', 5);
  expect([shares.take('a', 6), shares.take('a', 5)]).toEqual([false, true]);
});
