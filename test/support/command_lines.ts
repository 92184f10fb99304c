// Command lines that run one after the other in a process of this file's own, which spares each of them the start of one. How a
// process ends is not seen here: that is for `lattice` of lattice.ts.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll } from 'vitest';
import { z } from 'zod';
import { inherited_environment } from './environment.ts';
import type { Ended } from './lattice.ts';
import { root } from './source.ts';

export type CommandLine = (words: string[], environment?: Record<string, string>) => Promise<Ended>;

const StatusSchema = z.object({ status: z.number() });

/** For the top of a file. Nothing of our own environment reaches the commands; the process ends with the file. */
export function commandLines(): CommandLine {
  const child = fork(join(root, 'test/support/shell.ts'), {
    cwd: root,
    env: inherited_environment,
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const gone = once(child, 'exit');
  afterAll(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  const streams = [readerOf(child.stdout), readerOf(child.stderr)];
  let last: Promise<unknown> = Promise.resolve();
  return (words, environment = {}) => {
    const line = { words, environment: { ...inherited_environment, PORT: '0', ...environment } };
    const ended = last.then(() => run(child, line, streams));
    last = ended.catch(() => null);
    return ended;
  };
}

async function run(child: ChildProcess, line: object, streams: (() => Promise<string>)[]): Promise<Ended> {
  const answered = once(child, 'message');
  child.send(line);
  const [[answer], [stdout = '', stderr = '']] = await Promise.all([
    answered,
    Promise.all(streams.map((read) => read())),
  ]);
  return { status: StatusSchema.parse(answer).status, stdout, stderr };
}

/** Reads a stream up to the next NUL; fails when it ends before. */
function readerOf(stream: Readable | null): () => Promise<string> {
  if (stream === null) throw new Error('there is no stream');
  const chunks = stream.setEncoding('utf8').iterator();
  let rest = '';
  return async () => {
    let text = rest;
    while (!text.includes('\0')) {
      const { value, done } = await chunks.next();
      if (done === true) throw new Error(`the process of the command lines has ended: ${text}`);
      text += String(value);
    }
    const end = text.indexOf('\0');
    rest = text.slice(end + 1);
    return text.slice(0, end);
  };
}
