// Every command of README.md is run, in its order, as a newcomer would; and what every page of the repository links to is there.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { inherited_environment } from './support/environment.ts';
import { aDataDirectory } from './support/lattice.ts';
import { freePort } from './support/port.ts';
import { listFiles, readSource, root } from './support/source.ts';
import { waitFor } from './support/wait.ts';

const readme = readSource('README.md').text;
const blocks = [...readme.matchAll(/^```\w*\n(.*?)^```$/gms)].map(([, block]) => String(block));
/** What .ci/run does on a clean clone before and around this test. */
const run_by_ci = ['npm ci', 'npm test'];
const scripts = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readSource('package.json').text)).scripts;

interface Shell {
  ended: Promise<number | NodeJS.Signals>;
  hasEnded: () => boolean;
  output: () => string;
  interrupt: () => void;
}

/** A script in a shell with a process group of its own, as a terminal makes one, so that Ctrl-C reaches all of it. */
function shell(script: string, environment: Record<string, string>): Shell {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited_environment, HOME: process.env.HOME, ...environment },
  });
  const written: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => written.push(text));
  }
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(signal ?? code ?? 0));
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const interrupt = () => {
    if (child.pid !== undefined && !hasEnded()) process.kill(-child.pid, 'SIGINT');
  };
  onTestFinished(async () => {
    interrupt();
    await ended;
  });
  return {
    ended,
    hasEnded,
    interrupt,
    output: () => written.join(''),
  };
}

const BalanceSchema = z.looseObject({
  available: z.string(),
  posted: z.looseObject({ balance: z.string() }),
});

test('the commands of the README work, from the first to the last', { timeout: 300_000 }, async () => {
  const lines = blocks.flatMap((block) => block.split('\n')).filter((line) => line !== '');
  expect(lines.length).toBeGreaterThan(12);
  const ci = readSource('.ci/run').text;
  for (const command of run_by_ci) expect(ci).toContain(`\n${command}`);
  const [start = '', ...rest] = blocks.filter(
    (block) => !block.split('\n').every((line) => line === '' || run_by_ci.includes(line)),
  );
  expect(start).toBe('npm ci\nnpm start\n');

  const data_directory = await aDataDirectory();
  const port = String(await freePort());
  const environment = { LATTICE_DATA_DIR: data_directory, PORT: port };
  const serving = shell('npm start', environment);
  await waitFor(
    'Lattice is ready with its demo tenant',
    async () => {
      if (serving.hasEnded()) throw new Error(serving.output());
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
      return ready?.ok === true && existsSync(join(data_directory, 'demo.json'));
    },
    { timeout_ms: 150_000, interval_ms: 50 },
  );

  // Only where it runs is ours: the README's port and directory may be in use here. A refusal fails the command.
  const script = rest
    .join('\n')
    .replaceAll('127.0.0.1:8420', `127.0.0.1:${port}`)
    .replaceAll('./.lattice/', `${data_directory}/`);
  expect(script).toContain(`127.0.0.1:${port}`);
  const trying = shell(`curl() { command curl --fail-with-body "$@"; echo; }\n${script}`, environment);
  expect({ status: await trying.ended, output: trying.output() }).toMatchObject({ status: 0 });
  const last = trying.output().trim().split('\n').at(-1) ?? '';
  expect(BalanceSchema.parse(JSON.parse(last))).toMatchObject({
    available: '7500',
    posted: { balance: '10000' },
  });

  serving.interrupt();
  expect({ status: await serving.ended, output: serving.output() }).toMatchObject({ status: 0 });
});

test('each script that a page names exists', () => {
  const pages = listFiles().filter((path) => path.endsWith('.md'));
  expect(pages.length).toBeGreaterThan(5);
  const named = pages.flatMap((path) =>
    [...readSource(path).text.matchAll(/npm run (?:-s )?([a-z]+(?::[a-z]+)?)/g)].map(([, name]) =>
      String(name),
    ),
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test('each link of a page leads somewhere', () => {
  const broken = (path: string, text: string) =>
    [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
      .map(([, target]) => String(target))
      .filter((target) => !existsSync(join(root, dirname(path), target)))
      .map((target) => `${path}: ${target}`);
  expect(broken('docs/a.md', 'see [b](../README.md) and [c](nowhere.md)')).toEqual(['docs/a.md: nowhere.md']);
  const pages = listFiles().filter((path) => path.endsWith('.md'));
  expect(pages.flatMap((path) => broken(path, readFileSync(join(root, path), 'utf8')))).toEqual([]);
});
