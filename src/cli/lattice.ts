// `lattice`: finds the command that the words name and runs it. Exit status 0 done, 1 failed, 2 not understood.
import { stderr, stdout } from 'node:process';
import { readConfig } from '../config.ts';
import { type Command, helpText, parseInput, UsageError, usageLine } from './command.ts';
import { consumersListCommand } from './consumers_list.ts';
import { consumersResumeCommand } from './consumers_resume.ts';
import { doctorCommand } from './doctor.ts';
import { jobsListCommand } from './jobs_list.ts';
import { jobsDismissCommand, jobsRetryCommand } from './jobs_settle.ts';
import { keyCreateCommand } from './key_create.ts';
import { keyRevokeCommand } from './key_revoke.ts';
import { loadCommand } from './load.ts';
import { migrateCommand } from './migrate.ts';
import { createOutput } from './output.ts';
import { projectionsDiffCommand } from './projections_diff.ts';
import { projectionsDropCommand } from './projections_drop.ts';
import { projectionsListCommand } from './projections_list.ts';
import { projectionsRebuildCommand } from './projections_rebuild.ts';
import { startCommand } from './start.ts';
import { tenantCreateCommand } from './tenant_create.ts';
import { verifyCommand } from './verify.ts';
import { verifyReceiptCommand } from './verify_receipt.ts';

const commands: Command[] = [
  startCommand,
  migrateCommand,
  doctorCommand,
  verifyCommand,
  verifyReceiptCommand,
  tenantCreateCommand,
  keyCreateCommand,
  keyRevokeCommand,
  loadCommand,
  consumersListCommand,
  consumersResumeCommand,
  jobsListCommand,
  jobsRetryCommand,
  jobsDismissCommand,
  projectionsListCommand,
  projectionsRebuildCommand,
  projectionsDropCommand,
  projectionsDiffCommand,
];

const overview = listing(commands, 'COMMAND');

/** Some commands with their summaries; `called` is what stands for one of them in the usage. */
function listing(listed: Command[], called: string): string {
  const width = Math.max(...listed.map(({ name }) => name.length));
  return [
    `usage: lattice ${called} [options]`,
    '',
    ...listed.map((each) => `  ${each.name.padEnd(width)}  ${each.summary}`),
    '',
    `\`lattice ${called} --help\` shows the options of a command; docs/configuration.md the environment.`,
  ].join('\n');
}

/** What `lattice projections --help` shows: the commands that begin with the word. Null when it is asked for something else. */
function maybeGroupHelp([group, asked, ...rest]: string[]): string | null {
  const of_group = commands.filter(({ name }) => name.startsWith(`${group} `));
  if (of_group.length === 0 || asked !== '--help' || rest.length > 0) return null;
  return listing(of_group, `${group} COMMAND`);
}

function findCommand(words: string[]): { found: Command; rest: string[] } {
  for (const found of commands) {
    const name = found.name.split(' ');
    if (name.every((word, index) => words[index] === word)) return { found, rest: words.slice(name.length) };
  }
  const known = commands.map(({ name }) => name).join(', ');
  throw new UsageError(`there is no command ${words.join(' ')}; there are ${known}`);
}

/** Runs a command line in an environment; answers the exit status. */
export async function lattice(
  words: string[],
  environment: Record<string, string | undefined>,
): Promise<number> {
  if (words.length === 0 || words[0] === '--help' || words[0] === 'help') {
    stdout.write(`${overview}\n`);
    return 0;
  }
  const group_help = maybeGroupHelp(words);
  if (group_help !== null) {
    stdout.write(`${group_help}\n`);
    return 0;
  }
  const is_json = words.includes('--json');
  let usage = 'usage: lattice COMMAND [options]';
  try {
    const { found, rest } = findCommand(words);
    usage = usageLine(found);
    const { input, json, help } = parseInput(found, rest);
    if (help) {
      stdout.write(`${helpText(found)}\n`);
      return 0;
    }
    return await found.run({ input, config: readConfig(environment), output: createOutput(json) });
  } catch (error) {
    const is_usage = error instanceof UsageError;
    const message = explanation(error);
    if (is_json) stdout.write(`${JSON.stringify({ error: message })}\n`);
    stderr.write(`lattice: ${message}\n${is_usage ? `${usage}\n` : ''}`);
    // What is not foreseen comes with its origin.
    if (environment.LOG_LEVEL === 'debug' && error instanceof Error) stderr.write(`${error.stack}\n`);
    return is_usage ? 2 : 1;
  }
}

function explanation(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && (error.code === 'EACCES' || error.code === 'EPERM') && 'path' in error) {
    return `${error.path} belongs to another user: run as that one, or give it to this one with chown`;
  }
  if ('syscall' in error && error.syscall === 'mkdir' && 'path' in error && 'code' in error) {
    if (error.code === 'EEXIST' || error.code === 'ENOTDIR') {
      return `a file is in the way of the directory ${error.path}: move it away, or set LATTICE_DATA_DIR to another`;
    }
    // Of a file system that is read-only Node says that there is nothing (ENOENT).
    return `the directory ${error.path} cannot be made (${error.code}): set LATTICE_DATA_DIR to where there is room and this process may write`;
  }
  return error.message;
}
