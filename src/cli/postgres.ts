// The Postgres that the configuration names: DATABASE_URL, or the embedded one of the data directory.
import pg from 'pg';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { queries } from '../db.ts';
import { attachEmbedded, startEmbedded } from '../embedded.ts';
import type { Logger } from '../log.ts';
import { schemaDifferences } from '../migrate.ts';

const sql = queries(import.meta.url, 'session_find');

const oldest_version_num = 150_000;
/** also of a machine that has more to do than it can */
const connect_timeout_ms = 10_000;

const SessionSchema = z.object({
  role: z.string(),
  version_num: z.number(),
  version: z.string(),
  is_superuser: z.boolean(),
  bypasses_rls: z.boolean(),
  owns_tables: z.boolean(),
});
export type Session = z.infer<typeof SessionSchema>;

export interface Postgres {
  kind: 'embedded' | 'external';
  /** as `lattice_app` */
  app_url: string;
  /** as `lattice_owner`; null when somebody else migrates */
  owner_url: string | null;
  /** how it came to run, for people */
  description: string;
  /** stops it when it is ours */
  stop: () => Promise<void>;
  /** tells it to stop and does not wait, when it is ours */
  abandon: () => void;
}

const nothing = { stop: () => Promise.resolve(), abandon: () => {} };

/** For the process that serves: the embedded Postgres is then its own, and stops with it. */
export async function openPostgres(
  config: Config,
  logger: Logger,
  onLost: (error: unknown) => void,
): Promise<Postgres> {
  if (config.DATABASE_URL !== undefined) return openExternal(config, config.DATABASE_URL);
  const refusal = embeddedRefusal(config);
  if (refusal !== null) throw new Error(refusal);
  const embedded = await startEmbedded(config.LATTICE_DATA_DIR, {
    port: config.LATTICE_POSTGRES_PORT,
    logger,
    onLost,
  });
  const origin = embedded.created ? 'created' : embedded.adopted ? 'adopted' : 'started';
  return {
    kind: 'embedded',
    ...embedded,
    description: `${embedded.version} ${origin} in ${config.LATTICE_DATA_DIR}/postgres`,
  };
}

/** Why the process must not run on an embedded Postgres; null when it may, or has another. */
export function embeddedRefusal({ NODE_ENV, DATABASE_URL }: Config): string | null {
  return NODE_ENV === 'production' && DATABASE_URL === undefined
    ? 'production needs DATABASE_URL: the embedded PostgreSQL is for trying and developing'
    : null;
}

/** For a command that looks or changes something and ends: an embedded Postgres that runs is used, else run for that long. */
export async function withPostgres<Result>(
  config: Config,
  logger: Logger,
  work: (postgres: Postgres) => Promise<Result>,
): Promise<Result> {
  const attached = config.DATABASE_URL === undefined ? await attachEmbedded(config.LATTICE_DATA_DIR) : null;
  const postgres: Postgres =
    attached === null
      ? await openPostgres(config, logger, (error) => logger.error({ error }, 'PostgreSQL is lost'))
      : { kind: 'embedded', ...attached, description: attached.version, ...nothing };
  try {
    return await work(postgres);
  } finally {
    await postgres.stop();
  }
}

async function openExternal(config: Config, app_url: string): Promise<Postgres> {
  const { version } = await findSession(app_url);
  const { host, database } = new pg.Client({ connectionString: app_url });
  return {
    kind: 'external',
    app_url,
    owner_url: config.DATABASE_OWNER_URL ?? null,
    description: `${version}: ${database} at ${host}`,
    ...nothing,
  };
}

/** Who we are there. The error says where and why, never the password. */
export async function findSession(database_url: string): Promise<Session> {
  const client = new pg.Client({
    connectionString: database_url,
    application_name: 'lattice session',
    connectionTimeoutMillis: connect_timeout_ms,
  });
  const began = performance.now();
  let lost: Error | null = null;
  client.on('error', (error) => {
    lost = error;
  });
  try {
    await client.connect();
    const { rows } = await client.query(sql.session_find.text);
    return SessionSchema.parse(rows[0]);
  } catch (error) {
    const reason = lost ?? error;
    const said = reason instanceof Error ? reason.message : String(reason);
    // pg says of a connection that it gave up only that it ended.
    const is_late = performance.now() - began >= connect_timeout_ms;
    const message = is_late ? `no answer within ${connect_timeout_ms / 1_000} s` : said;
    throw new Error(
      `${client.user} cannot use the database ${client.database} at ${client.host}: ${message}`,
      {
        cause: error,
      },
    );
  } finally {
    await client.end();
  }
}

/** Why tables must not be made with this session; null when they may. */
export function ownerRefusal({ role, is_superuser, bypasses_rls }: Session): string | null {
  if (!is_superuser && !bypasses_rls) return null;
  return `${role} ${is_superuser ? 'is a superuser' : 'bypasses row level security'}, and would own what it makes: let DATABASE_OWNER_URL log in as lattice_owner (sql/roles.sql makes the roles)`;
}

/** Throws one line when the database lacks something of this version, with what to do. */
export async function checkSchema(
  app_url: string,
  advice = 'run `lattice migrate` with DATABASE_OWNER_URL',
): Promise<void> {
  const differences = await schemaDifferences(app_url);
  const [first] = differences;
  if (first === undefined) return;
  const more = differences.length > 1 ? `, and ${differences.length - 1} more` : '';
  throw new Error(`the schema is not current (${first}${more}): ${advice}`);
}

/** Why the process must not run with this session; null when it may. */
export function sessionRefusal(session: Session): string | null {
  if (session.version_num < oldest_version_num) {
    return `PostgreSQL ${session.version} is too old: Lattice needs 15 or newer`;
  }
  const advice = 'let DATABASE_URL log in as lattice_app (sql/roles.sql makes the roles)';
  if (session.is_superuser)
    return `${session.role} is a superuser, which no wall between tenants holds: ${advice}`;
  if (session.bypasses_rls) return `${session.role} bypasses row level security: ${advice}`;
  if (session.owns_tables) return `${session.role} owns the tables or is a member of their owner: ${advice}`;
  return null;
}
