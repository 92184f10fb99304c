// The demo month posted through the public API of a real server.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { postProcessorMonth } from '../../examples/processor-month/post.ts';
import { inherited_environment } from '../support/environment.ts';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const directory = await mkdtemp(join(tmpdir(), 'lattice-test-export-'));
afterAll(() => rm(directory, { recursive: true }));

const header = 'id,type,amount,fee,net,currency,created';
const charge = 't_1,charge,1000,40,960,eur,2026-10-01T09:00:00Z';
const refund = 't_2,refund,-250,0,-250,eur,2026-10-03T09:00:00Z';
const late_charge = 't_3,charge,500,30,470,eur,2026-10-05T09:00:00Z';

async function file(name: string, ...lines: string[]): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}

async function post(api_key: string, path?: string) {
  const log: string[] = [];
  const month = await postProcessorMonth({
    url: server.url,
    api_key,
    log: (line) => log.push(line),
    ...(path === undefined ? {} : { file: path }),
  });
  return { ...month, log };
}

test('the demo month agrees with the processor to the cent, and a second run changes nothing', async () => {
  const { api_key } = await aTenant();
  const first = await post(api_key);
  expect(first.log).toMatchInlineSnapshot(`
    [
      "32 of 32 payouts are the sum of the rows that they settle",
      "3723 rows: 3723 transactions posted, 0 were there already",
      "                                processor       ledger",
      "EUR charge                     173,877.16   173,877.16  =",
      "EUR charge, fees                 3,867.22     3,867.22  =",
      "EUR dispute                       -188.22      -188.22  =",
      "EUR dispute, fees                   80.00        80.00  =",
      "EUR dispute_reversal                55.15        55.15  =",
      "EUR dispute_reversal, fees         -20.00       -20.00  =",
      "EUR network_cost                   -53.14       -53.14  =",
      "EUR payout                    -149,987.76  -149,987.76  =",
      "EUR payout_reversal              4,323.76     4,323.76  =",
      "EUR refund                      -3,427.96    -3,427.96  =",
      "EUR balance at the processor    20,671.77    20,671.77  =",
      "USD charge                      28,796.11    28,796.11  =",
      "USD charge, fees                 1,061.24     1,061.24  =",
      "USD dispute                       -447.18      -447.18  =",
      "USD dispute, fees                   30.00        30.00  =",
      "USD network_cost                    -8.20        -8.20  =",
      "USD payout                     -23,563.15   -23,563.15  =",
      "USD refund                        -479.52      -479.52  =",
      "USD balance at the processor     3,206.82     3,206.82  =",
      "JPY charge                        813,009      813,009  =",
      "JPY charge, fees                   29,266       29,266  =",
      "JPY network_cost                     -194         -194  =",
      "JPY payout                       -669,372     -669,372  =",
      "JPY refund                        -25,358      -25,358  =",
      "JPY balance at the processor       88,819       88,819  =",
      "the processor's totals and the ledger agree to the cent: 25 of 25",
    ]
  `);
  expect(first).toMatchObject({ differences: 0, unchanged: 0, posted: first.rows });

  const second = await post(api_key);
  expect(second).toMatchObject({ differences: 0, posted: 0, unchanged: first.rows });
  expect(second.comparisons).toEqual(first.comparisons);
});

test('a file that has grown adds only what is new, and other periods do not disturb the totals', async () => {
  const { api_key } = await aTenant();
  const path = await file('growing.csv', header, charge, refund);
  expect(await post(api_key, path)).toMatchObject({ posted: 2, unchanged: 0, differences: 0 });
  await file('growing.csv', header, charge, refund, late_charge);
  expect(await post(api_key, path)).toMatchObject({ posted: 1, unchanged: 2, differences: 0 });
  const later = await file('later.csv', header, 't_9,charge,700,30,670,eur,2026-11-02T09:00:00Z');
  expect(await post(api_key, later)).toMatchObject({ posted: 1, differences: 0 });
  expect(await post(api_key, path)).toMatchObject({ posted: 0, differences: 0 });
});

test('totals that are a cent off are named, and the command fails', async () => {
  const { api_key } = await aTenant();
  const path = await file('off.csv', header, charge, refund);
  await file(
    'off.totals.csv',
    'reporting_category,currency,count,gross,fee,net',
    'charge,eur,1,1000,40,960',
    'refund,eur,1,-251,0,-251',
    'ending_balance,eur,2,749,40,709',
  );
  const month = await post(api_key, path);
  expect(month.comparisons.filter(({ amount, ledger }) => amount !== ledger)).toMatchObject([
    { label: 'refund', amount: -251n, ledger: -250n },
    { label: 'balance at the processor', amount: 709n, ledger: 710n },
  ]);

  const run = promisify(execFile)(process.execPath, [
    'examples/processor-month/post.ts',
    '--url',
    server.url,
    '--key',
    api_key,
    path,
  ]);
  await expect(run).rejects.toMatchObject({ code: 1, stderr: '' });
});

test('a refused file posts nothing', async () => {
  const tenant = await aTenant();
  const path = await file('bad.csv', header, charge, 't_2,refund,-2.50,0,-250,eur,2026-10-03');
  await expect(post(tenant.api_key, path)).rejects.toThrow('line 3, amount "-2.50"');
  const accounts = await server.client(tenant.api_key).get('/v1/accounts');
  expect(accounts.body).toMatchObject({ data: [] });
});

test('an account of another kind under the same code is not posted to', async () => {
  const { api_key } = await aTenant();
  await server
    .client(api_key)
    .post('/v1/accounts', { code: 'sales:charge:eur', type: 'liability', currency: 'EUR' });
  const path = await file('taken.csv', header, charge);
  await expect(post(api_key, path)).rejects.toThrow(
    'the account sales:charge:eur is liability in EUR, not revenue in EUR',
  );
});

const totals_header = 'reporting_category,currency,gross,fee,net';

test.each([
  [['--url', 'localhost:8420'], '--url is http://host:port, not localhost:8420'],
  [['--url', 'http://127.0.0.1:1'], 'no answer from http://127.0.0.1:1 (bad port): is Lattice started'],
  [
    ['--key', 'lk_test_se\ncret'],
    `no answer from ${server.url} (no request): is Lattice started, and are --url and --key right?`,
  ],
  [['one.csv', 'two.csv'], 'one export at a time: what is two.csv?'],
  [
    ['--totals', await file('odd.totals.csv', totals_header, 'charge,eur,1.50,0,0')],
    'odd.totals.csv was refused, nothing was posted:\n  total 1, gross: not an amount in minor units',
  ],
])('%j is told without a stack', async (words, why) => {
  const script = fileURLToPath(new URL('../../examples/processor-month/post.ts', import.meta.url));
  const given = ['--url', server.url, '--key', 'lk_test_x', ...words];
  const ended = await promisify(execFile)(process.execPath, [script, ...given]).catch(
    (error: unknown) => error,
  );
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
  expect(ended).toMatchObject({ stderr: expect.not.stringMatching(/ {4}at |se\ncret/) });
});

test.each([
  [{}, [], 'there is no .lattice/demo.json: run npm start first'],
  [{ LATTICE_DATA_DIR: 'damaged' }, [], 'damaged/demo.json is damaged: delete it'],
  [{}, ['--url', server.url, '--key', 'x', '--port', 'x'], '--port is a number up to 65535, not x'],
  [{}, ['--url', server.url, '--key', 'x', '--port', new URL(server.url).port], 'EADDRINUSE'],
])('the dashboard with %j and %j says what is wrong', async (environment, words, why) => {
  const damaged = join(directory, 'damaged');
  await mkdir(damaged, { recursive: true });
  await writeFile(join(damaged, 'demo.json'), '{');
  const script = fileURLToPath(new URL('../../examples/live-balances/serve.ts', import.meta.url));
  const options = { cwd: directory, env: { ...inherited_environment, ...environment } };
  const ended = await promisify(execFile)(process.execPath, [script, ...words], options).catch(
    (error: unknown) => error,
  );
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
  expect(ended).toMatchObject({ stderr: expect.not.stringContaining('    at ') });
});
