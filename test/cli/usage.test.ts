// What a person or a script is told when a command line cannot be understood.
import { expect, test } from 'vitest';
import { commandLines } from '../support/command_lines.ts';
import { lattice } from '../support/lattice.ts';

const line = commandLines();

test('without a command all are listed, and each explains itself', async () => {
  const { status, stdout } = await lattice([]);
  expect(status).toBe(0);
  const commands = [...stdout.matchAll(/^ {2}(\w+(?: \w+)?) {2}/gm)].map(([, name = '']) => name);
  expect(commands).toEqual(
    expect.arrayContaining([
      'start',
      'migrate',
      'doctor',
      'verify',
      'tenant create',
      'key create',
      'key revoke',
      'load',
    ]),
  );
  for (const name of commands) {
    const help = await line([...name.split(' '), '--help']);
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toContain(`usage: lattice ${name}`);
    expect(help.stdout).toContain('--json');
  }
});

test('a word that several commands begin with lists them, and no other', async () => {
  const { stdout } = await lattice([]);
  const listed = [...stdout.matchAll(/^ {2}(\w+ \w+) {2}/gm)].map(([, name = '']) => name);
  const groups = [...new Set(listed.map((name) => name.split(' ')[0] ?? ''))];
  expect(groups).toEqual(['tenant', 'key', 'consumers', 'jobs', 'projections']);
  for (const group of groups) {
    const help = await line([group, '--help']);
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout).toContain(`usage: lattice ${group} COMMAND [options]`);
    expect([...help.stdout.matchAll(/^ {2}(\w+ \w+) {2}/gm)].map(([, name]) => name)).toEqual(
      listed.filter((name) => name.startsWith(`${group} `)),
    );
  }
});

test.each([
  [['bogus'], 'there is no command bogus; there are start, migrate', 'usage: lattice COMMAND [options]'],
  [['bogus', '--help'], 'there is no command bogus --help', 'usage: lattice COMMAND [options]'],
  [['tenant', 'destroy'], 'there is no command tenant destroy', 'usage: lattice COMMAND [options]'],
  [['start', '--bogus'], "Unknown option '--bogus'", 'usage: lattice start [options]'],
  [['load'], 'FILE is missing', 'usage: lattice load FILE [options]'],
  [['load', 'a.csv', 'b'], 'what is b?', 'usage: lattice load FILE [options]'],
  [['load', 'a.csv', '--chunk-size', '0'], '--chunk-size: ', 'usage: lattice load FILE [options]'],
  [
    ['load', 'a.csv', '--chunk-size'],
    "Option '--chunk-size <value>' argument missing",
    'usage: lattice load FILE',
  ],
  [['load', 'a.txt'], '--format is missing', 'usage: lattice load FILE [options]'],
  [['key', 'revoke', 'lk_test_x'], 'ID: an id begins with key_', 'usage: lattice key revoke ID [options]'],
  [['key', 'create', '--name', 'x'], 'give --role', 'usage: lattice key create [options]'],
  [['verify', '--url', 'localhost'], '--url: expected http://host:port', 'usage: lattice verify [options]'],
  [['key', 'revoke', 'key_1'], 'where is Lattice?', 'usage: lattice key revoke ID [options]'],
])('%j is not understood: a line that says why, the usage, and 2', async (words, why, usage) => {
  const { status, stdout, stderr } = await line(words, { LATTICE_DATA_DIR: '/nowhere' });
  const [first = '', second = '', ...rest] = stderr.trimEnd().split('\n');
  expect({ status, stdout, rest }).toEqual({ status: 2, stdout: '', rest: [] });
  expect(first).toContain(`lattice: ${why}`);
  expect(second).toContain(usage);
});

test('with --json the failure is JSON too', async () => {
  const { status, stdout } = await line(['load', '/nowhere/a.csv', '--json'], {
    LATTICE_URL: 'http://127.0.0.1:1',
    LATTICE_API_KEY: 'lk_test_x',
  });
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toEqual({ error: 'there is no file /nowhere/a.csv' });
});

test('a process ends as its command does', async () => {
  const { status, stdout, stderr } = await lattice(['bogus']);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toBe((await line(['bogus'])).stderr);
});

test('a setting that is wrong is named', async () => {
  const { status, stderr } = await lattice(['start'], { PORT: '99999', DATABASE_URL: 'mysql://x' });
  expect(status).toBe(1);
  expect(stderr).toBe(
    'lattice: the environment is not usable: PORT: Too big: expected number to be <=65535; DATABASE_URL: a connection string begins with postgres://\n',
  );
});
