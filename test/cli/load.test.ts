// `load`: a file of transactions goes in once, however often it is loaded, and each line that is refused is named.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commandLines } from '../support/command_lines.ts';
import { anAccount, aTenant, type TestTenant } from '../support/factories.ts';
import { aDataDirectory } from '../support/lattice.ts';
import { startServer } from '../support/server.ts';

const server = await startServer();
const lattice = commandLines();

async function books(): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  return tenant;
}

async function load(tenant: TestTenant, name: string, content: string, words: string[] = []) {
  const file = join(await aDataDirectory(), name);
  writeFileSync(file, content);
  const { status, stdout, stderr } = await lattice(['load', file, '--json', ...words], {
    LATTICE_URL: server.url,
    LATTICE_API_KEY: tenant.api_key,
  });
  return { status, stderr, answer: JSON.parse(stdout) };
}

async function balance(tenant: TestTenant): Promise<string> {
  const answer = await server.client(tenant.api_key).get('/v1/accounts/alice/balance');
  return answer.as(z.looseObject({ available: z.string() })).available;
}

const deposit = (amount: string, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    entries: [
      { account: 'cash', direction: 'debit', amount },
      { account: 'alice', direction: 'credit', amount },
    ],
    ...more,
  });

test('NDJSON is posted once, in requests of any size; a line that comes twice is two transactions', async () => {
  const tenant = await books();
  const lines = [deposit('100'), deposit('100'), '', deposit('7', { reference: 'seven' }), deposit('100')];
  const first = await load(tenant, 'a.ndjson', lines.join('\n'), ['--chunk-size', '2']);
  expect(first).toEqual({ status: 0, stderr: '', answer: { lines: 4, accepted: 4, refused: [] } });
  expect(await balance(tenant)).toBe('307');

  const again = await load(tenant, 'b.jsonl', `${lines.join('\r\n')}\r\n${deposit('1')}\n`);
  expect(again.answer).toEqual({ lines: 5, accepted: 5, refused: [] });
  expect(await balance(tenant)).toBe('308');
});

test('CSV is posted likewise, with metadata, holds and quoted cells', async () => {
  const tenant = await books();
  const content = `\ufeffdebit_account,credit_account,amount,currency,description,reference,status,metadata.order,effective_at
cash,alice,1000,EUR,"first, with a comma",r-1,,o_1,2026-11-01T00:00:00Z
alice,cash,300,,"two
lines",,pending,,
`;
  const loaded = await load(tenant, 'a.csv', content);
  expect(loaded).toEqual({ status: 0, stderr: '', answer: { lines: 2, accepted: 2, refused: [] } });
  expect(await balance(tenant)).toBe('700');
  const found = await server.client(tenant.api_key).get('/v1/transactions?metadata[order]=o_1');
  expect(
    found.as(z.object({ data: z.array(z.looseObject({ description: z.string() })) })).data,
  ).toMatchObject([
    { description: 'first, with a comma', reference: 'r-1', effective_at: '2026-11-01T00:00:00Z' },
  ]);
});

test('each line that is refused is named, hurts no other, and the status says so', async () => {
  const tenant = await books();
  const { status, answer } = await load(
    tenant,
    'a.ndjson',
    [
      deposit('100'),
      '{"entries": [',
      '[]',
      deposit('-5'),
      deposit('5').replace('alice', 'nobody'),
      deposit('101').replaceAll('debit', 'x').replaceAll('credit', 'debit').replaceAll('x', 'credit'),
      deposit('1'),
    ].join('\n'),
  );
  expect(status).toBe(1);
  expect(answer).toMatchObject({
    lines: 7,
    accepted: 2,
    refused: [
      { line: 2, code: 'malformed_json' },
      { line: 3, code: 'invalid_request', detail: 'the line is not a JSON object' },
      { line: 4, code: 'invalid_request' },
      { line: 5, code: 'account_not_found' },
      { line: 6, code: 'insufficient_funds' },
    ],
  });
  expect(await balance(tenant)).toBe('101');
});

test('in CSV too, by the line on which its row begins', async () => {
  const tenant = await books();
  const { status, answer } = await load(
    tenant,
    'a.csv',
    'debit_account,credit_account,amount,description\ncash,alice,1,"a\nb"\ncash,alice\ncash,,2,\ncash,alice,1.50,\n',
  );
  expect(status).toBe(1);
  expect(answer).toMatchObject({
    lines: 4,
    accepted: 1,
    refused: [
      { line: 4, code: 'invalid_request', detail: 'the row has 2 cells, the header 4' },
      { line: 5, code: 'invalid_request', detail: 'credit_account is empty' },
      { line: 6, code: 'invalid_request' },
    ],
  });
});

test('what was refused goes in at the next attempt when its cause is gone, and nothing twice', async () => {
  const tenant = await books();
  const lines = [
    deposit('10'),
    deposit('5').replace('alice', 'bob'),
    deposit('5').replace('alice', 'carol'),
  ].join('\n');
  expect((await load(tenant, 'a.ndjson', lines)).answer).toMatchObject({ accepted: 1 });
  await anAccount(server.client(tenant.api_key), { code: 'bob' });
  // A refusal is the answer to its key for ever.
  expect((await load(tenant, 'a.ndjson', lines)).answer).toMatchObject({ accepted: 1 });
  const second = await load(tenant, 'a.ndjson', lines, ['--attempt', '2']);
  expect(second.answer).toMatchObject({ accepted: 2, refused: [{ line: 3, code: 'account_not_found' }] });
  await anAccount(server.client(tenant.api_key), { code: 'carol' });
  const third = await load(tenant, 'a.ndjson', lines, ['--attempt', '3']);
  expect(third).toMatchObject({ status: 0, answer: { accepted: 3, refused: [] } });
  const answer = await server.client(tenant.api_key).get('/v1/accounts/bob/balance');
  expect(answer.as(z.looseObject({ available: z.string() })).available).toBe('5');
  expect(await balance(tenant)).toBe('10');
});

test.each([
  ['debit_account,amount\n', 'the header misses credit_account'],
  ['debit_account,credit_account,amount,colour\n', 'unknown columns colour; known are debit_account, '],
  ['debit_account,credit_account,amount,amount\n', 'a column comes twice'],
])('a CSV whose header is %j is refused as a whole', async (content, why) => {
  const tenant = await books();
  const { status, answer } = await load(tenant, 'a.csv', content);
  expect(status).toBe(1);
  expect(answer.error).toContain(why);
  expect(await balance(tenant)).toBe('0');
});
