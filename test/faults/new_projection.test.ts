// `npm run new:projection` in a copy of the tree: what it makes is right as it is.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, inject, test } from 'vitest';
import { root } from '../support/source.ts';

const run = promisify(execFile);
const copy = await mkdtemp(join(tmpdir(), 'lattice-projection-'));
afterAll(() => rm(copy, { recursive: true, force: true }));

const not_copied = ['node_modules', '.git', '.lattice'];
await mkdir(copy, { recursive: true });
for (const entry of await readdir(root)) {
  if (!not_copied.includes(entry)) await cp(join(root, entry), join(copy, entry), { recursive: true });
}
await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));

const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' };
const node = (...args: string[]) => run(process.execPath, args, { cwd: copy, env, timeout: 240_000 });

test('a new projection passes its own test and the harness, and is refused a second time', async () => {
  const made = await node('scripts/new-projection.ts', 'events_daily');
  expect(made.stdout).toContain('sql/functions/projection/apply_events_daily.sql');
  await node('scripts/generate.ts');
  const files = ['test/modules/projections/events_daily.test.ts', 'test/modules/projections/harness.test.ts'];
  const tested = await node('node_modules/vitest/vitest.mjs', 'run', ...files, '-t', 'events');
  expect(tested.stdout).toMatch(/Tests\s+5 passed/);
  await expect(node('scripts/new-projection.ts', 'events_daily')).rejects.toThrow('already');
  await expect(node('scripts/new-projection.ts', 'Events-Daily')).rejects.toThrow('usage');
  // The long form holds it to the house rules as well.
  if (inject('fault_rounds') > 1) await run('npm', ['run', 'check'], { cwd: copy, timeout: 240_000 });
}, 300_000);

test.each([
  ['events', 'there is src/modules/projections/events.ts already: take another name'],
  ['invoice_days', 'there is table projection.invoice_days_v already: take another name'],
  ['balances', 'there is a projection balances already: take another name'],
])('%s is refused by one line, and nothing is written', async (name, line) => {
  const before = await filesOfCopy();
  const refused = await node('scripts/new-projection.ts', name).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 1, stdout: '', stderr: `${line}\n` });
  expect(await filesOfCopy()).toEqual(before);
});

async function filesOfCopy(): Promise<string[]> {
  const found = ['sql', 'src', 'test'].map((part) => readdir(join(copy, part), { recursive: true }));
  return (await Promise.all(found)).flat().sort();
}
