// Looks at everything that Lattice stands on, and says of each whether it holds or what to do.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { versions } from 'node:process';
import pg from 'pg';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { Database, queries } from '../db.ts';
import { createLogger } from '../log.ts';
import { schemaDifferences } from '../migrate.ts';
import { partitions_ahead_min, partitionsAhead } from '../modules/log/index.ts';
import { maybeSigningKeys, signingKeysRefusal } from '../modules/proofs/index.ts';
import { command } from './command.ts';
import { embeddedRefusal, findSession, type Postgres, sessionRefusal, withPostgres } from './postgres.ts';

const sql = queries(import.meta.url, 'wall_find', 'wall_try', 'settings_find', 'clock_read');

const node_major_min = 24;
const listen_timeout_ms = 3_000;
/** Holds expire by the database's clock and logs are read by ours: further apart, the two tell different stories. */
const clock_skew_max_ms = 2_000;
const disk_free_min_bytes = 2_000_000_000;
/** left for migrations, people and replicas */
const connections_spare = 10;
const differences_shown = 3;
const to_migrate = 'run `lattice migrate` with DATABASE_OWNER_URL (docs/runbooks/migrations.md)';

interface Finding {
  ok: boolean;
  detail: string;
  /** what to do */
  advice?: string;
}

interface Check {
  name: string;
  look: () => Promise<Finding>;
}

export const doctorCommand = command({
  name: 'doctor',
  summary:
    'Looks at Node, keys, PostgreSQL, roles, the wall between tenants, LISTEN, clock, disk and schema; says what to do',
  input: z.object({}),
  run: async ({ config, output }) => {
    const findings: (Finding & { name: string })[] = [];
    const look = async (checks: Check[]) => {
      for (const { name, look: find } of checks) {
        // A check that cannot be made is a finding too, and the next one is made all the same.
        const finding = await find().catch(
          (error: unknown): Finding => ({
            ok: false,
            detail: error instanceof Error ? error.message : String(error),
          }),
        );
        const { advice, ...rest } = finding;
        findings.push({ name, ...(finding.ok || advice === undefined ? rest : finding) });
        output.line(`${finding.ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(13)}  ${finding.detail}`);
        if (!finding.ok && finding.advice !== undefined) output.line(`${' '.repeat(21)}→ ${finding.advice}`);
      }
    };
    await look([
      { name: 'Node', look: nodeVersion },
      { name: 'Signing keys', look: () => Promise.resolve(signingKeys(config)) },
      ...(config.DATABASE_URL === undefined ? [disk(config)] : []),
    ]);
    const refusal = embeddedRefusal(config);
    if (refusal !== null) {
      const finding = { ok: false, detail: refusal, advice: 'see docs/configuration.md' };
      await look([{ name: 'PostgreSQL', look: () => Promise.resolve(finding) }]);
    } else if (config.DATABASE_URL === undefined && !existsSync(join(config.LATTICE_DATA_DIR, 'postgres'))) {
      await look([{ name: 'PostgreSQL', look: () => Promise.resolve(notYet(config)) }]);
    } else {
      await look([
        { name: 'PostgreSQL', look: () => withPostgres(config, createLogger('fatal'), postgresVersion) },
      ]);
      if (findings.at(-1)?.ok === true) {
        await withPostgres(config, createLogger('fatal'), (postgres) => withChecks(config, postgres, look));
      }
    }
    const failed = findings.filter(({ ok }) => !ok).length;
    output.line(failed === 0 ? 'All is well.' : `${failed} of ${findings.length} checks failed.`);
    output.json({ ok: failed === 0, checks: findings });
    return failed === 0 ? 0 : 1;
  },
});

function notYet(config: Config): Finding {
  return {
    ok: true,
    detail: `none in ${config.LATTICE_DATA_DIR} yet: npm start makes one, or set DATABASE_URL`,
  };
}

async function nodeVersion(): Promise<Finding> {
  return {
    ok: Number.parseInt(versions.node, 10) >= node_major_min,
    detail: versions.node,
    advice: `Lattice runs on Node ${node_major_min}: start it through npm, which brings its own`,
  };
}

/** What `start` asks of them before it touches anything. */
function signingKeys(config: Config): Finding {
  const refusal = signingKeysRefusal(config);
  if (refusal !== null) {
    return {
      ok: false,
      detail: refusal,
      advice: 'nothing starts before it can sign: docs/runbooks/proofs.md says what the file holds',
    };
  }
  const keys = maybeSigningKeys(config);
  if (keys === null) return { ok: true, detail: 'none yet: the first start makes one' };
  const others = keys.all.length - 1;
  return { ok: true, detail: `${keys.active.key_id.toString('hex')} signs, ${others} more are known` };
}

function disk(config: Config): Check {
  return {
    name: 'Disk',
    look: async () => {
      const at = existsSync(config.LATTICE_DATA_DIR) ? config.LATTICE_DATA_DIR : '.';
      const { bavail, bsize } = await statfs(at);
      return {
        ok: bavail * bsize >= disk_free_min_bytes,
        detail: `${gigabytes(bavail * bsize)} free at ${at}`,
        advice: `PostgreSQL stops when the disk is full: make room, or move LATTICE_DATA_DIR`,
      };
    },
  };
}

async function postgresVersion({ app_url, description }: Postgres): Promise<Finding> {
  const { version } = await findSession(app_url);
  return { ok: true, detail: description.startsWith(version) ? description : `${version} (embedded)` };
}

async function withChecks(
  config: Config,
  { app_url }: Postgres,
  look: (checks: Check[]) => Promise<void>,
): Promise<void> {
  const database = new Database({
    connection_string: app_url,
    size: 2,
    application_name: 'lattice doctor',
    logger: createLogger('fatal'),
  });
  try {
    await look([
      { name: 'Role', look: () => role(app_url) },
      { name: 'Schema', look: () => schema(app_url) },
      { name: 'Tenant wall', look: () => wall(database) },
      { name: 'Partitions', look: () => partitions(database) },
      { name: 'Durability', look: () => durability(database) },
      { name: 'Connections', look: () => connections(config, database) },
      { name: 'LISTEN', look: () => listenPath(config.DATABASE_DIRECT_URL ?? app_url, app_url) },
      { name: 'Clock', look: () => clock(database) },
    ]);
  } finally {
    await database.end();
  }
}

async function role(app_url: string): Promise<Finding> {
  const session = await findSession(app_url);
  const refusal = sessionRefusal(session);
  return refusal === null
    ? { ok: true, detail: `${session.role}: no superuser, owns no table, bypasses no wall` }
    : { ok: false, detail: refusal };
}

async function schema(app_url: string): Promise<Finding> {
  const differences = await schemaDifferences(app_url);
  const shown = differences.slice(0, differences_shown).join('; ');
  const more =
    differences.length > differences_shown ? `; and ${differences.length - differences_shown} more` : '';
  return {
    ok: differences.length === 0,
    detail: differences.length === 0 ? 'current' : `${shown}${more}`,
    advice: to_migrate,
  };
}

function notMigrated(detail: string): Finding {
  return { ok: false, detail: `${detail}: the database is not migrated`, advice: to_migrate };
}

async function wall(database: Database): Promise<Finding> {
  const found = await database.call(sql.wall_find, {}, z.object({ is_there: z.boolean() }));
  if (!found.every(({ is_there }) => is_there)) return notMigrated('there is nothing to try it with');
  const attempts = await database.call(
    sql.wall_try,
    {},
    z.object({ attempt: z.string(), held: z.boolean() }),
  );
  const broken = attempts.filter(({ held }) => !held).map(({ attempt }) => attempt);
  return {
    ok: attempts.length > 0 && broken.length === 0,
    detail:
      broken.length === 0 ? `holds in ${attempts.length} attempts` : `does not hold: ${broken.join('; ')}`,
    advice:
      'stop the process: tenants may see one another. Check the role and the policies in sql/schema.sql',
  };
}

async function partitions(database: Database): Promise<Finding> {
  const tables = await partitionsAhead(database);
  if (tables.length === 0) return notMigrated('there are none');
  return {
    ok: tables.every(({ ahead }) => ahead >= partitions_ahead_min),
    detail: tables.map(({ table, ahead }) => `${table} ${ahead} months ahead`).join(', '),
    advice:
      'run `lattice migrate`, which makes twelve; without a partition for the month nothing can be posted',
  };
}

const SettingsSchema = z.object({
  fsync: z.string(),
  full_page_writes: z.string(),
  synchronous_commit: z.string(),
  max_connections: z.number(),
  database_bytes: z.string(),
});

async function findSettings(database: Database): Promise<z.infer<typeof SettingsSchema>> {
  const [settings] = await database.call(sql.settings_find, {}, SettingsSchema);
  if (settings === undefined) throw new Error('PostgreSQL tells no settings');
  return settings;
}

async function durability(database: Database): Promise<Finding> {
  const { fsync, full_page_writes, synchronous_commit, database_bytes } = await findSettings(database);
  const is_durable = fsync === 'on' && full_page_writes === 'on' && !/^(off|local)$/.test(synchronous_commit);
  return {
    ok: is_durable,
    detail: `fsync ${fsync}, full_page_writes ${full_page_writes}, synchronous_commit ${synchronous_commit}; ${gigabytes(Number(database_bytes))} of data`,
    advice: 'turn them on: what was acknowledged would be lost with the machine',
  };
}

async function connections(config: Config, database: Database): Promise<Finding> {
  const { max_connections } = await findSettings(database);
  return {
    ok: max_connections >= config.DATABASE_POOL_SIZE + connections_spare,
    detail: `${config.DATABASE_POOL_SIZE} of ${max_connections} for each process`,
    advice: 'raise max_connections, or lower DATABASE_POOL_SIZE',
  };
}

/** A pooler in transaction mode swallows notifications, and another database has its own. */
async function listenPath(url: string, app_url: string): Promise<Finding> {
  const advice = 'set DATABASE_DIRECT_URL to the database itself, past the pooler';
  const refused = await findSession(url).then(
    () => null,
    (error: Error) => error.message,
  );
  if (refused !== null) return { ok: false, detail: refused, advice };
  const channel = `lattice_doctor_${randomBytes(6).toString('hex')}`;
  const client = new pg.Client({
    connectionString: url,
    application_name: 'lattice doctor',
    connectionTimeoutMillis: listen_timeout_ms,
  });
  const heard = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), listen_timeout_ms);
    const answer = (value: boolean) => {
      clearTimeout(timer);
      resolve(value);
    };
    client.once('notification', () => answer(true));
    client.once('error', () => answer(false));
  });
  const sender = new pg.Client({ connectionString: app_url, connectionTimeoutMillis: listen_timeout_ms });
  try {
    await client.connect();
    await client.query(`listen ${channel}`);
    await sender.connect();
    await sender.query(`notify ${channel}`);
    const is_heard = await heard;
    return {
      ok: is_heard,
      detail: is_heard ? 'a notification arrives' : `no notification within ${listen_timeout_ms} ms`,
      advice,
    };
  } finally {
    await Promise.all([client.end(), sender.end()]);
  }
}

async function clock(database: Database): Promise<Finding> {
  const before_ms = Date.now();
  const [read] = await database.call(sql.clock_read, {}, z.object({ epoch_seconds: z.number() }));
  const after_ms = Date.now();
  if (read === undefined) throw new Error('PostgreSQL tells no time');
  const skew_ms = Math.round(read.epoch_seconds * 1_000 - (before_ms + after_ms) / 2);
  return {
    ok: Math.abs(skew_ms) <= clock_skew_max_ms,
    detail: `PostgreSQL is ${skew_ms} ms from this machine`,
    advice: 'let both follow NTP',
  };
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toLocaleString('en', { maximumFractionDigits: 1 })} GB`;
}
