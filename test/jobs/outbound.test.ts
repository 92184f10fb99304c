// What may be called, and what a far side can do to us: real sockets, and a name server of our own.
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { isPublic, Outbound, type OutboundOptions } from '../../src/jobs/outbound.ts';
import { aNameServer } from './dns.ts';

const never = new AbortController().signal;
const loopback = { host: '127.0.0.1', port: null };

function anOutbound(options: Partial<OutboundOptions> = {}): Outbound {
  const outbound = new Outbound({ allow: [], is_production: false, ...options });
  afterAll(() => outbound.close());
  return outbound;
}

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** An HTTP server; its port. */
async function aServer(listener: RequestListener): Promise<number> {
  const server = createHttpServer(listener);
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return listening(server);
}

/** A server of bytes; its port. */
async function aSocketServer(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listening(server);
}

const call = (url: string) => ({ url, headers: { 'content-type': 'application/json' }, body: '{}' });

test('only what everybody could call is public', () => {
  const addresses = {
    yes: ['8.8.8.8', '93.184.216.34', '2606:4700:4700::1111', '2a00:1450:4001:800::200e'],
    no: [
      ...['127.0.0.1', '127.8.8.8', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1', '0.0.0.0'],
      ...['169.254.169.254', '100.64.0.1', '100.100.100.200', '192.0.0.192', '198.18.0.1', '224.0.0.1'],
      ...['240.0.0.1', '255.255.255.255', '168.63.129.16', '192.0.2.1', '203.0.113.7', '192.88.99.1'],
      ...['::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:169.254.169.254'],
      ...['64:ff9b::7f00:1', '64:ff9b:1::a00:1', '2002:7f00:1::', '2001::1', 'fe80::1', 'fc00::1'],
      ...['fd00:ec2::254', 'ff02::1', '2001:db8::1', 'fec0::1', '100::1', '4000::1'],
    ],
  };
  expect(addresses.yes.filter((address) => !isPublic(address))).toEqual([]);
  expect(addresses.no.filter(isPublic)).toEqual([]);
});

test('production asks for https; what an operator allows is called all the same', () => {
  const allow = [{ host: 'hooks.internal', port: 8443 }, loopback];
  const outbound = anOutbound({ allow, is_production: true });
  const refusals = Object.fromEntries(
    [
      'http://example.com/',
      'https://example.com/',
      'http://hooks.internal:8443/a',
      'https://hooks.internal/a',
      'http://127.0.0.1:1/',
      'http://[::1]:1/',
    ].map((url) => [url, outbound.maybeRefusal(url)?.code ?? null]),
  );
  expect(refusals).toEqual({
    'http://example.com/': 'https_required',
    'https://example.com/': null,
    'http://hooks.internal:8443/a': null,
    'https://hooks.internal/a': 'url_private',
    'http://127.0.0.1:1/': null,
    'http://[::1]:1/': 'https_required',
  });
});

test('a name that resolves to what is not public is not connected to, whatever it mixes in', async () => {
  let connections = 0;
  const port = await aServer((_, response) => {
    connections += 1;
    response.end();
  });
  const names: Record<string, string[]> = {
    'loopback.example.com': ['127.0.0.1'],
    'mapped.example.com': ['::ffff:127.0.0.1'],
    'metadata.example.com': ['169.254.169.254'],
    'six.example.com': ['::1'],
    'nat64.example.com': ['64:ff9b::7f00:1'],
  };
  const dns = await aNameServer((name) => names[name] ?? []);
  const outbound = anOutbound({ dns_servers: [dns] });
  for (const name of Object.keys(names)) {
    const called = await outbound.call(call(`http://${name}:${port}/`), never);
    expect([name, called]).toMatchObject([name, { kind: 'failed', fault: 'address_refused' }]);
  }
  const missing = await outbound.call(call(`http://missing.example.com:${port}/`), never);
  expect(missing).toMatchObject({ kind: 'failed', fault: 'name_not_resolved' });
  expect(connections).toBe(0);
});

test('the address that was checked is the one that is connected to: a second answer of the name server changes nothing', async () => {
  let asked = 0;
  let connections = 0;
  const port = await aServer((request, response) => {
    connections += 1;
    response.end(request.headers.host);
  });
  // Each time another answer: allowed first, then one that nothing listens on.
  const dns = await aNameServer((name) => {
    asked += 1;
    return name === 'rebind.example.com' && asked <= 2 ? ['127.0.0.1'] : ['127.0.0.2'];
  });
  const outbound = anOutbound({ dns_servers: [dns], allow: [loopback] });
  const called = await outbound.call(call(`http://rebind.example.com:${port}/`), never);
  expect(called).toMatchObject({ status_code: 200, answer: `rebind.example.com:${port}` });
  const fresh = anOutbound({ dns_servers: [dns], allow: [loopback] });
  const rebound = await fresh.call(call(`http://rebind.example.com:${port}/`), never);
  expect(rebound).toMatchObject({ kind: 'failed', fault: 'address_refused' });
  expect(connections).toBe(1);
});

test('a redirect is an answer and is not followed', async () => {
  let followed = 0;
  const target = await aServer((_, response) => {
    followed += 1;
    response.end();
  });
  const port = await aServer((_, response) => {
    response.writeHead(307, { Location: `http://127.0.0.1:${target}/` }).end();
  });
  const outbound = anOutbound({ allow: [loopback] });
  const called = await outbound.call(call(`http://127.0.0.1:${port}/`), never);
  expect(called).toMatchObject({ kind: 'answered', status_code: 307 });
  expect(followed).toBe(0);
});

test('an answer is read up to 64 KB, and one that goes on is cut', async () => {
  const port = await aServer((request, response) => {
    if (request.url === '/exact') return response.end('x'.repeat(65_536));
    const more = (): void => void response.write('x'.repeat(16_384), () => response.destroyed || more());
    return more();
  });
  const outbound = anOutbound({ allow: [loopback] });
  const exact = await outbound.call(call(`http://127.0.0.1:${port}/exact`), never);
  expect(exact.kind === 'answered' && exact.answer.length).toBe(65_536);
  const endless = await outbound.call(call(`http://127.0.0.1:${port}/endless`), never);
  expect(endless).toMatchObject({ kind: 'failed', fault: 'answer_too_large' });
});

test('whoever is slow with anything has as long as everybody, and no longer', async () => {
  const silent = await aSocketServer(() => {});
  const dripping = await aSocketServer((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  const outbound = anOutbound({ allow: [loopback], timeout_ms: 300 });
  for (const port of [silent, dripping]) {
    const called = await outbound.call(call(`http://127.0.0.1:${port}/`), never);
    expect(called).toMatchObject({ kind: 'failed', fault: 'timeout' });
    expect(called.duration_ms).toBeLessThan(3_000);
  }
});

test('garbage, a closed door and a broken connection are told apart', async () => {
  const garbage = await aSocketServer((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'));
  const headers = await aSocketServer((socket) =>
    socket.end(`HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(40_000)}\r\n\r\n`),
  );
  const broken = await aSocketServer((socket) => {
    socket.once('data', () => socket.destroy());
  });
  const outbound = anOutbound({ allow: [loopback] });
  const faultAt = async (port: number) => {
    const called = await outbound.call(call(`http://127.0.0.1:${port}/`), never);
    return called.kind === 'failed' ? called.fault : called.status_code;
  };
  expect(await faultAt(garbage)).toBe('answer_malformed');
  expect(await faultAt(headers)).toBe('answer_malformed');
  expect(await faultAt(broken)).toBe('connection_failed');
  expect(await faultAt(9)).toBe('connection_failed');
});

test('https to what speaks no TLS fails', async () => {
  const port = await aSocketServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  const outbound = anOutbound({ allow: [loopback] });
  const called = await outbound.call(call(`https://127.0.0.1:${port}/`), never);
  expect(called.kind).toBe('failed');
});
