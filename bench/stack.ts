// One Lattice to measure: a Postgres of its own with the settings of `npm start`, and the server as a process apart from it and from us.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Database, platform_tenant_id, queries, system_actor_id } from '../src/db.ts';
import { readPidFile } from '../src/embedded/postmaster.ts';
import { type Embedded, startEmbedded } from '../src/embedded.ts';
import { createLogger } from '../src/log.ts';
import { migrate } from '../src/migrate.ts';
import { createKey } from '../src/modules/access/index.ts';
import { makeSigningKeys } from '../src/modules/proofs/index.ts';
import { createTenant } from '../src/modules/tenants/index.ts';
import { freePort } from '../test/support/port.ts';

const sql = queries(import.meta.url, 'settings_describe');

const PackageSchema = z.object({ scripts: z.object({ start: z.string().startsWith('exec node ') }) });

const logger = createLogger('warn');
const ready_timeout_ms = 60_000;
export const root = join(import.meta.dirname, '..');

export interface Tenant {
  /** uuid */
  id: string;
  /** of an owner */
  api_key: string;
}

export class Stack {
  readonly port: number;
  readonly postgres_pid: number;
  readonly owner_url: string;
  /** as `lattice_app`, to count with */
  readonly database: Database;
  readonly directory: string;
  #server: ChildProcess;
  readonly #environment: Record<string, string>;
  readonly #embedded: Embedded;
  readonly #is_temporary: boolean;

  private constructor(parts: {
    directory: string;
    is_temporary: boolean;
    port: number;
    server: ChildProcess;
    embedded: Embedded;
    database: Database;
    environment: Record<string, string>;
  }) {
    const postgres = readPidFile(join(parts.directory, 'postgres'));
    if (postgres === null) throw new Error('Postgres is gone');
    this.directory = parts.directory;
    this.port = parts.port;
    this.#environment = parts.environment;
    this.postgres_pid = postgres.pid;
    this.owner_url = parts.embedded.owner_url;
    this.database = parts.database;
    this.#server = parts.server;
    this.#embedded = parts.embedded;
    this.#is_temporary = parts.is_temporary;
    process.once('exit', this.#abandon);
  }

  get server_pid(): number {
    const { pid } = this.#server;
    if (pid === undefined) throw new Error('the server is gone');
    return pid;
  }

  /** Ends the server as nothing can prepare for, and starts it again at the same port; resolves when it is ready. */
  async restart(): Promise<void> {
    const exit = once(this.#server, 'exit');
    this.#server.kill('SIGKILL');
    await exit;
    this.#server = await startServer(this.directory, this.#embedded, this.port, this.#environment);
  }

  /** A directory that is given is kept; without one it is a temporary one, which goes with the stack. */
  static async start(kept_directory?: string, environment: Record<string, string> = {}): Promise<Stack> {
    const directory = kept_directory ?? mkdtempSync(join(tmpdir(), 'lattice-bench-'));
    mkdirSync(directory, { recursive: true });
    const is_temporary = kept_directory === undefined;
    const embedded = await startEmbedded(directory, {
      port: 0,
      logger,
      onLost: (error) => {
        throw error;
      },
    });
    try {
      await migrate(embedded.owner_url, logger);
      const port = await freePort();
      const server = await startServer(directory, embedded, port, environment);
      const database = new Database({
        connection_string: embedded.app_url,
        size: 4,
        application_name: 'lattice bench',
        logger,
      });
      return new Stack({ directory, is_temporary, port, server, embedded, database, environment });
    } catch (error) {
      await embedded.stop();
      if (is_temporary) rmSync(directory, { recursive: true });
      throw error;
    }
  }

  /** What Postgres says about itself; refuses to measure one that does not keep what it acknowledges. */
  async describePostgres(): Promise<string> {
    const [row] = await this.database.call(sql.settings_describe, {}, z.object({ settings: z.string() }));
    if (row === undefined) throw new Error('Postgres tells no settings');
    for (const durable of ['fsync=on', 'full_page_writes=on', 'synchronous_commit=on']) {
      if (!row.settings.includes(durable)) throw new Error(`no bench without ${durable}: ${row.settings}`);
    }
    return row.settings;
  }

  async createTenant(slug: string): Promise<Tenant> {
    const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id: 'req_bench' };
    const tenant = await this.database.transaction(platform, (tx) =>
      createTenant(tx, { slug, name: slug, mode: 'live', template: 'blank', currency: 'EUR' }),
    );
    return { id: tenant.id, api_key: await this.createKey(tenant.id) };
  }

  /** A key of the platform's administrators. */
  async createPlatformKey(): Promise<string> {
    const platform = { tenant_id: platform_tenant_id, actor_id: system_actor_id, request_id: 'req_bench' };
    const { api_key } = await this.database.transaction(platform, (tx) =>
      createKey(tx, { name: 'bench', role: 'platform' }),
    );
    return api_key;
  }

  /** Another owner's key of a tenant. */
  async createKey(tenant_id: string): Promise<string> {
    const actor = { tenant_id, actor_id: system_actor_id, request_id: 'req_bench' };
    const { api_key } = await this.database.transaction(actor, (tx) =>
      createKey(tx, { name: 'bench', role: 'owner' }),
    );
    return api_key;
  }

  /** However we end, neither the server nor Postgres stays behind. */
  readonly #abandon = () => {
    this.#server.kill('SIGKILL');
    this.#embedded.abandon();
  };

  async stop(): Promise<void> {
    process.removeListener('exit', this.#abandon);
    await this.database.end();
    await stopProcess(this.#server);
    await this.#embedded.stop();
    if (this.#is_temporary) rmSync(this.directory, { recursive: true });
  }
}

async function startServer(
  directory: string,
  embedded: Embedded,
  port: number,
  environment: Record<string, string>,
): Promise<ChildProcess> {
  const signing_keys = join(directory, 'signing_keys.pem');
  if (!existsSync(signing_keys)) makeSigningKeys(signing_keys);
  const server = spawn(process.execPath, startArguments(), {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      PORT: String(port),
      LATTICE_DATA_DIR: directory,
      LATTICE_SIGNING_KEYS: signing_keys,
      DATABASE_URL: embedded.app_url,
      DATABASE_OWNER_URL: embedded.owner_url,
      LOG_LEVEL: 'warn',
      // The only thing that is switched off: a limit on the rate would be what is measured.
      RATE_LIMIT_PER_SECOND: '0',
      // The receiver of webhooks is on this machine.
      OUTBOUND_ALLOW: '127.0.0.1:*',
      WEBHOOK_SECRET_KEY: randomBytes(32).toString('base64'),
      ...environment,
    },
  });
  if (server.stdout === null) throw new Error('the server has no output');
  // What it logs from `warn` on explains a run that fails; the steps of its start are of no interest.
  createInterface(server.stdout).on('line', (line) => {
    if (line.startsWith('{')) console.error(line.slice(0, 2_000));
  });
  await ready(port, server);
  return server;
}

/** What `npm start` gives Node: its limits on memory are part of what is measured. */
function startArguments(): string[] {
  const { scripts } = PackageSchema.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  return scripts.start.replace(/^exec node /, '').split(' ');
}

/** Waits until the server says that it is ready. */
export async function ready(port: number, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + ready_timeout_ms;
  while (performance.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`the server ended with status ${server.exitCode}`);
    // Refused while it does not listen yet: then it is simply not ready.
    const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );
    if (status === 200) return;
    await delay(10);
  }
  throw new Error(`the server was not ready within ${ready_timeout_ms} ms`);
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
