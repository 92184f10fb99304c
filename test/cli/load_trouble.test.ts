// `load` where the file or the way to the server is not as it should be: it says so in one line, or goes on.
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { commandLines } from '../support/command_lines.ts';
import { anAccount, aTenant } from '../support/factories.ts';
import { aDataDirectory, lattice as latticeProcess } from '../support/lattice.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const lattice = commandLines();
const header = 'debit_account,credit_account,amount,description';

async function books(): Promise<Record<string, string>> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  return { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
}

async function aFile(name: string, content: string): Promise<string> {
  const file = join(await aDataDirectory(), name);
  writeFileSync(file, content);
  return file;
}

async function load(environment: Record<string, string>, file: string, words: string[] = []) {
  const { status, stdout } = await lattice(['load', file, '--json', ...words], environment);
  return { status, ...JSON.parse(stdout) };
}

test.each(['\n', '\r\n', '\r'])(
  'a row is named by its line, after empty lines and cells of several: %j',
  async (end) => {
    const rows = [
      header,
      '',
      'cash,alice,x,"a\r\nb"',
      '',
      'cash,alice,1,"a\nb"',
      'cash,alice,y,',
      'cash,alice,z,',
    ];
    const { refused } = await load(await books(), await aFile('a.csv', rows.join(end)));
    expect(refused.map(({ line }: { line: number }) => line)).toEqual([3, 8, 9]);
  },
);

test('a row that no request can carry is refused, and the rest is posted', async () => {
  const rows = [header, `cash,alice,1,${'\u0001'.repeat(6_000_000)}`, 'cash,alice,1,'];
  expect(await load(await books(), await aFile('a.csv', rows.join('\n')))).toMatchObject({
    posted: 1,
    refused: [{ line: 2, code: 'body_too_large', detail: 'the row has more than 8000000 bytes' }],
  });
});

test('a line without an end is kept as far as it can be one', async () => {
  const environment = await books();
  const file = await aFile('a.ndjson', '');
  // More than a string can hold, and nothing on the disk.
  truncateSync(file, 600_000_000);
  appendFileSync(file, '\r\n\n[]');
  expect(await load(environment, file)).toMatchObject({
    lines: 2,
    refused: [
      { line: 1, code: 'body_too_large' },
      { line: 3, code: 'invalid_request' },
    ],
  });
});

test('an export that failed is no file of no transactions', async () => {
  const environment = await books();
  const empty = await load(environment, await aFile('a.csv', ''));
  expect(empty).toMatchObject({
    status: 1,
    error: expect.stringContaining('it is empty: the first row has'),
  });
  const utf16 = await load(environment, await aFile('a.csv', '\ufffd\ufffda\0m\0'));
  expect(utf16).toMatchObject({ status: 1, error: expect.stringContaining('the header is not UTF-8') });
});

test.each(['a.csv', 'a.ndjson'])('a directory named %s is no file', async (name) => {
  const environment = await books();
  const directory = join(await aDataDirectory(), name);
  mkdirSync(directory);
  expect(await load(environment, directory)).toEqual({
    status: 1,
    error: `${directory} is a directory, not a file`,
  });
});

/** Stands in front of the server, and does not pass on the request of that number. */
async function inFront(number: number, trouble: 'cut' | 'bad gateway' | 'unavailable'): Promise<string> {
  let count = 0;
  const proxy = createServer((incoming, outgoing) => {
    count += 1;
    const is_troubled = count === number;
    if (is_troubled && trouble !== 'cut') {
      incoming.resume();
      const type = trouble === 'unavailable' ? 'application/problem+json' : 'text/html';
      outgoing.writeHead(trouble === 'unavailable' ? 503 : 502, { 'Content-Type': type });
      outgoing.end(JSON.stringify({ code: 'unavailable', detail: 'not now', retryable: true }));
      return;
    }
    const { hostname, port } = new URL(server.url);
    const { method, url: path, headers } = incoming;
    const passed = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      if (!is_troubled) answer.pipe(outgoing);
      else
        answer.once('data', (piece: Buffer) =>
          outgoing.write(piece.subarray(0, 50), () => outgoing.destroy()),
        );
    });
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    proxy.close();
    proxy.closeAllConnections();
  });
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no address');
  return `http://127.0.0.1:${address.port}`;
}

test.each([
  [1, 'unavailable'],
  [2, 'cut'],
  [2, 'bad gateway'],
  [2, 'unavailable'],
] as const)('goes on when request %i ends as: %s', async (number, trouble) => {
  const environment = await books();
  const file = await aFile('a.csv', [header, 'cash,alice,1,', 'cash,alice,2,'].join('\n'));
  const words = ['--url', await inFront(number, trouble)];
  expect(await load(environment, file, words)).toMatchObject({ status: 0, lines: 2, refused: [] });
  expect(await load(environment, file)).toMatchObject({ posted: 0, unchanged: 2 });
});

test('a key with a character that no key has is told, and not shown', async () => {
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: 'lk_live_secret\nmore' };
  const { status, stderr } = await latticeProcess(['verify'], environment);
  expect(status).toBe(2);
  expect(stderr).toBe(
    'lattice: the key of --key or LATTICE_API_KEY has a character that no key has\nusage: lattice verify [options]\n',
  );
});

test('what answers without being Lattice is told in one line', async () => {
  const other = createServer((_, response) => {
    response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"message":"no"}');
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const address = other.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  expect(await lattice(['verify', '--url', url, '--key', 'lk_test_x'])).toMatchObject({
    status: 1,
    stderr: `lattice: ${url} answered 404 without a problem of Lattice: is it Lattice?\n`,
  });
});
