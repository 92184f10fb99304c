// `load`: a file of transactions goes in once, however often it is loaded, and each line that is refused is named.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commandLines } from '../support/command_lines.ts';
import { anAccount, aTenant, type TestTenant } from '../support/factories.ts';
import { aDataDirectory } from '../support/lattice.ts';
import { startServer } from '../support/server.ts';
import { readSource } from '../support/source.ts';

const server = await startServer();
const lattice = commandLines();

async function books(): Promise<TestTenant> {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice', limits: { available_min: '0' } });
  return tenant;
}

/** In a directory of its own each time, so that its path says nothing. */
async function load(tenant: TestTenant, name: string, content: string | Uint8Array, words: string[] = []) {
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

const tally = (batch: string, counts: Record<string, number>) => ({
  ...{ batch, posted: 0, unchanged: 0, voided: 0, refused: [] },
  ...counts,
});

test('NDJSON is posted once, in requests of any size; a line that comes twice is two transactions', async () => {
  const tenant = await books();
  const lines = [deposit('100'), deposit('100'), '', deposit('7', { reference: 'seven' }), deposit('100')];
  const first = await load(tenant, 'a.ndjson', lines.join('\n'), ['--chunk-size', '2']);
  expect(first).toEqual({ status: 0, stderr: '', answer: tally('a.ndjson', { lines: 4, posted: 4 }) });
  expect(await balance(tenant)).toBe('307');

  const again = await load(tenant, 'a.ndjson', `${lines.join('\r\n')}\r\n${deposit('1')}\n`);
  expect(again.answer).toEqual(tally('a.ndjson', { lines: 5, posted: 1, unchanged: 4 }));
  expect(await balance(tenant)).toBe('308');
});

test('a line that is equal to one of another file is posted, as the file is another batch', async () => {
  const tenant = await books();
  const january = deposit('100', { description: 'rent' });
  expect((await load(tenant, 'january.ndjson', january)).answer).toMatchObject({ posted: 1 });
  const february = `${january}\n${deposit('7')}`;
  expect((await load(tenant, 'february.ndjson', february)).answer).toMatchObject({ posted: 2, unchanged: 0 });
  expect(await balance(tenant)).toBe('207');
  for (const [name, content] of [
    ['january.ndjson', january],
    ['february.ndjson', february],
  ] as const) {
    expect((await load(tenant, name, content)).answer).toMatchObject({ batch: name, posted: 0 });
  }
  expect(await balance(tenant)).toBe('207');
});

test('a file that was renamed is the batch that it is said to be', async () => {
  const tenant = await books();
  await load(tenant, 'payments.ndjson', deposit('100'), ['--batch', 'january']);
  const again = await load(tenant, 'payments-1.ndjson', deposit('100'), ['--batch', 'january']);
  expect(again.answer).toEqual(tally('january', { lines: 1, unchanged: 1 }));
  const next = await load(tenant, 'payments.ndjson', deposit('100'), ['--batch', 'february']);
  expect(next.answer).toEqual(tally('february', { lines: 1, posted: 1 }));
  expect(await balance(tenant)).toBe('200');
});

test('two runs of one batch at the same time post each line once; what either adds is posted to both', async () => {
  const tenant = await books();
  const lines = Array.from({ length: 40 }, (_, number) => deposit('1', { reference: `line ${number}` }));
  const run = () => load(tenant, 'a.ndjson', lines.join('\n'), ['--chunk-size', '2']);
  const answers = (await Promise.all([run(), run()])).map(({ answer }) => answer);
  for (const { posted, unchanged, refused } of answers) {
    expect([posted + unchanged, refused]).toEqual([40, []]);
  }
  expect(answers[0].posted + answers[1].posted).toBeGreaterThanOrEqual(40);
  expect(await balance(tenant)).toBe('40');
  expect((await run()).answer).toEqual(tally('a.ndjson', { lines: 40, unchanged: 40 }));
});

test('a person is told what was posted and what was there', async () => {
  const tenant = await books();
  const file = join(await aDataDirectory(), 'a.ndjson');
  const run = () => lattice(['load', file], { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key });
  writeFileSync(file, deposit('1'));
  expect((await run()).stdout).toBe(
    '1 lines of the batch a.ndjson: 1 posted, 0 were there already, 0 refused\n',
  );
  writeFileSync(file, `${deposit('1')}\n${deposit('2')}\n${deposit('-3')}`);
  expect((await run()).stdout).toBe(
    'line 3: invalid_request: The item does not have the documented shape: #/entries/0/amount an amount is 1 to 38 digits without sign, leading zero or decimal point, and above zero; #/entries/1/amount an amount is 1 to 38 digits without sign, leading zero or decimal point, and above zero\n' +
      '3 lines of the batch a.ndjson: 1 posted, 1 were there already, 1 refused\n',
  );
});

test('what follows up a transaction is posted too, and a void counts apart', async () => {
  const tenant = await books();
  const api = server.client(tenant.api_key);
  const hold = async () =>
    (await api.post('/v1/transactions', { ...JSON.parse(deposit('50')), status: 'pending' })).as(
      z.looseObject({ id: z.string() }),
    ).id;
  const lines = [{ capture_of: await hold(), amount: '20' }, { void_of: await hold() }]
    .map((line) => JSON.stringify(line))
    .join('\n');
  expect((await load(tenant, 'a.ndjson', lines)).answer).toEqual(
    tally('a.ndjson', { lines: 2, posted: 1, voided: 1 }),
  );
  expect((await load(tenant, 'a.ndjson', lines)).answer).toEqual(
    tally('a.ndjson', { lines: 2, unchanged: 1, voided: 1 }),
  );
  expect(await balance(tenant)).toBe('20');
});

test('CSV is posted likewise, with metadata, holds and quoted cells', async () => {
  const tenant = await books();
  const content = `\ufeffdebit_account,credit_account,amount,currency,description,reference,status,metadata.order,effective_at
cash,alice,1000,EUR,"first, with a comma",r-1,,o_1,2026-11-01T00:00:00Z
alice,cash,300,,"two
lines",,pending,,
`;
  const loaded = await load(tenant, 'a.csv', content);
  expect(loaded).toEqual({ status: 0, stderr: '', answer: tally('a.csv', { lines: 2, posted: 2 }) });
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
    posted: 2,
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

test.each([1, 1_000])('a line that no body may have hurts no other, %i to a request', async (chunk_size) => {
  const tenant = await books();
  const odd = deposit('1', { description: 'x' });
  const lines = [
    deposit('1'),
    odd.replace('"x"', '"\\u0000"'),
    odd.replace('"x"', '"\\ud83d"'),
    odd.replace('"x"', '"x","description":"y"'),
    odd.replace('"description"', '"__proto__"'),
    odd.replace('"x"', `${'['.repeat(40)}${']'.repeat(40)}`),
    odd.replace('x', 'caf\u00e9'),
    `{"entries": "${'x'.repeat(8_000_000)}"}`,
    // No end of a line to JSON, though some take it for one
    odd.replace('x', 'a\u2028b'),
    deposit('2', { idempotency_key: 'own' }),
    deposit('3', { idempotency_key: 'own' }),
    deposit('1'),
  ];
  const bytes = Buffer.concat(
    lines.map((line, index) => Buffer.from(`${line}\n`, index === 6 ? 'latin1' : 'utf8')),
  );
  const { status, answer } = await load(tenant, 'a.ndjson', bytes, ['--chunk-size', String(chunk_size)]);
  expect(status).toBe(1);
  expect(answer).toEqual({
    ...tally('a.ndjson', { lines: 12, posted: 4 }),
    refused: [
      { line: 2, code: 'invalid_request', detail: 'U+0000 is not allowed in text: #/description' },
      {
        line: 3,
        code: 'invalid_request',
        detail: 'half of a surrogate pair is not a character: #/description',
      },
      { line: 4, code: 'invalid_request', detail: 'the field is given twice: #/description' },
      { line: 5, code: 'invalid_request', detail: 'a reserved name: #/__proto__' },
      { line: 6, code: 'invalid_request', detail: 'nested deeper than 32 levels' },
      { line: 7, code: 'malformed_json', detail: 'The item is not UTF-8' },
      { line: 8, code: 'body_too_large', detail: 'the line has more than 8000000 bytes' },
      { line: 11, code: 'invalid_request', detail: 'line 10 has the same idempotency_key' },
    ],
  });
  expect(await balance(tenant)).toBe('5');
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
    posted: 1,
    refused: [
      { line: 4, code: 'invalid_request', detail: 'the row has 2 cells, the header 4' },
      { line: 5, code: 'invalid_request', detail: 'credit_account is empty' },
      { line: 6, code: 'invalid_request' },
    ],
  });
});

test('a row of CSV that is not UTF-8 is refused, and a quote out of place ends the file where it stands', async () => {
  const tenant = await books();
  const header = 'debit_account,credit_account,amount,description\n';
  const latin1 = Buffer.from(`${header}cash,alice,1,caf\xe9\ncash,alice,2,\n`, 'latin1');
  expect((await load(tenant, 'a.csv', latin1)).answer).toMatchObject({
    posted: 1,
    refused: [{ line: 2, code: 'invalid_request', detail: 'the row is not UTF-8' }],
  });
  const unclosed = `${header}cash,alice,4,\ncash,alice,8,"never closed\ncash,alice,16,\n`;
  const { status, answer } = await load(tenant, 'b.csv', unclosed, ['--chunk-size', '1']);
  expect(status).toBe(1);
  expect(answer.error).toMatch(/b\.csv: Quote Not Closed: .* \(1 transactions are posted\)$/);
  expect(await balance(tenant)).toBe('6');
});

test('what was refused goes in at the next attempt when its cause is gone, and nothing twice', async () => {
  const tenant = await books();
  const lines = [
    deposit('10'),
    deposit('5').replace('alice', 'bob'),
    deposit('5').replace('alice', 'carol'),
  ].join('\n');
  expect((await load(tenant, 'a.ndjson', lines)).answer).toMatchObject({ posted: 1 });
  await anAccount(server.client(tenant.api_key), { code: 'bob' });
  // A refusal is the answer to its key for ever.
  expect((await load(tenant, 'a.ndjson', lines)).answer).toMatchObject({ posted: 0, unchanged: 1 });
  const second = await load(tenant, 'a.ndjson', lines, ['--attempt', '2']);
  expect(second.answer).toMatchObject({
    posted: 1,
    unchanged: 1,
    refused: [{ line: 3, code: 'account_not_found' }],
  });
  await anAccount(server.client(tenant.api_key), { code: 'carol' });
  const third = await load(tenant, 'a.ndjson', lines, ['--attempt', '3']);
  expect(third).toMatchObject({ status: 0, answer: { posted: 1, unchanged: 2, refused: [] } });
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

test('what the page on loading shows is done as it says', async () => {
  const page = readSource('docs/runbooks/loading.md').text;
  const block = (language: string) =>
    String(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1]);
  const directory = await aDataDirectory();
  writeFileSync(join(directory, 'january.csv'), block('csv'));
  writeFileSync(join(directory, 'january-copy.csv'), block('csv'));
  writeFileSync(join(directory, 'january.ndjson'), block('json'));
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'clearing:card', type: 'asset' });
  await anAccount(api, { code: 'customers:alice' });
  const told = [];
  for (const command of block('sh').trim().split('\n')) {
    const [, name = '', file = '', ...options] = command.split(' ');
    const { status, stdout } = await lattice([name, join(directory, file), ...options], {
      LATTICE_URL: server.url,
      LATTICE_API_KEY: tenant.api_key,
    });
    told.push(`${status} ${stdout.trim()}`);
  }
  expect(told).toEqual([
    '0 4 lines of the batch january.csv: 4 posted, 0 were there already, 0 refused',
    '0 4 lines of the batch january.csv: 0 posted, 4 were there already, 0 refused',
    '0 2 lines of the batch january.ndjson: 2 posted, 0 were there already, 0 refused',
    '0 4 lines of the batch january.csv: 0 posted, 4 were there already, 0 refused',
  ]);
  const columns = [...page.matchAll(/`([a-z]+(?:_[a-z]+)*|metadata\.NAME)`(?=[^|]*\|[^|]*\|$)/gm)].map(
    ([, column]) => column,
  );
  const { stdout: help } = await lattice(['load', '--help']);
  expect(columns.length).toBe(11);
  for (const column of columns) expect(help).toContain(column);
});
