// The environment, read once. Everything that can be moved has a name here and in docs/configuration.md.
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);

const database_url = z
  .string()
  .regex(/^postgres(ql)?:\/\//, { error: 'a connection string begins with postgres://', abort: true })
  // As pg reads it: without a host behind the password it is that of a parameter.
  .refine(
    (text) => URL.canParse(text) || URL.canParse(text.replace('@/', '@localhost/')),
    'not a URL: what is special in a password is percent-encoded, such as %23 for #',
  )
  .optional();

/** `host:port` or `host:*`, separated by commas; an IPv6 address stands in brackets. */
function readAllowed(
  text: string,
  context: z.RefinementCtx<string>,
): { host: string; port: number | null }[] {
  const entries = text.split(',').filter((entry) => entry.trim() !== '');
  return entries.flatMap((entry) => {
    const [, bracketed, plain, port_text] =
      /^(?:\[([0-9a-f:.]+)\]|([^:[\]/]+)):(\*|[0-9]{1,5})$/i.exec(entry.trim()) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined || port_text === undefined) {
      context.addIssue({ code: 'custom', message: `expected host:port or host:*, not ${entry}` });
      return [];
    }
    return [{ host: host.toLowerCase(), port: port_text === '*' ? null : Number(port_text) }];
  });
}

const EnvironmentSchema = z
  .object({
    NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
    /** loopback unless told otherwise */
    HOST: z.string().min(1).default('127.0.0.1'),
    PORT: port.default(8420),
    LATTICE_DATA_DIR: z.string().min(1).default('.lattice'),
    /** the bundle of keys that sign blocks; absent means signing_keys.pem of the data directory, which production does not take */
    LATTICE_SIGNING_KEYS: z.string().min(1).optional(),
    /** as `lattice_app`; absent means the embedded Postgres */
    DATABASE_URL: database_url,
    /** as `lattice_owner`, for migrations */
    DATABASE_OWNER_URL: database_url,
    /** past a pooler, for LISTEN and jobs */
    DATABASE_DIRECT_URL: database_url,
    /** port of the embedded Postgres; 0 means any free one */
    LATTICE_POSTGRES_PORT: port.default(0),
    /** absent means `info` in production, else `warn`, so that what `start` prints can be read */
    LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional(),
    DATABASE_POOL_SIZE: z.coerce.number().int().min(2).max(200).default(16),
    /** where the command line finds a running Lattice, and with which keys */
    LATTICE_URL: z.url({ protocol: /^https?$/, error: 'expected http://host:port' }).optional(),
    LATTICE_API_KEY: z.string().min(1).optional(),
    LATTICE_PLATFORM_KEY: z.string().min(1).optional(),
    /** requests a second and key; 0 means no limit. The default only stops a client that has run away. */
    RATE_LIMIT_PER_SECOND: z.coerce.number().int().min(0).default(50_000),
    /** keys or tickets a minute and address that are not valid; 0 means no limit. Valid keys are let in whatever their address */
    FAILED_LOGINS_PER_MINUTE: z.coerce.number().int().min(0).default(120),
    /** `off` when other processes follow the log: this one then serves requests and streams only */
    CONSUMERS: z.enum(['on', 'off']).default('on'),
    /** `off` when other processes run the jobs; how many run at a time in this one */
    JOBS: z.enum(['on', 'off']).default('on'),
    JOBS_CONCURRENCY: z.coerce.number().int().min(1).max(50).default(4),
    /** streams that one key may have open in one process, and that one process may have open */
    STREAMS_PER_KEY: z.coerce.number().int().min(1).default(1_000),
    STREAMS_PER_PROCESS: z.coerce.number().int().min(1).default(12_000),
    /** opens /metrics as a bearer token; the machine itself may look without one */
    METRICS_TOKEN: z.string().min(16).optional(),
    /**
     * 32 bytes in base64 that signing secrets of webhooks are kept with; without it production has no webhooks, and elsewhere one is made.
     * Former ones after it, separated by commas, open what was kept with them.
     */
    WEBHOOK_SECRET_KEY: z
      .string()
      .transform((text) => text.split(',').map((key) => key.trim()))
      .pipe(
        z
          .array(
            z
              .base64()
              .refine((text) => Buffer.from(text, 'base64').length === 32, 'expected 32 bytes in base64'),
          )
          .min(1),
      )
      .optional(),
    /** a delivery that finished so many days ago is taken out of the delivery log */
    WEBHOOK_RETENTION_DAYS: z.coerce.number().int().min(1).max(3_650).default(30),
    /** what may be called although it is not public or not https: `127.0.0.1:*,hooks.internal:8443` */
    OUTBOUND_ALLOW: z.string().default('').transform(readAllowed),
  })
  .transform(({ LOG_LEVEL, ...given }) => ({
    ...given,
    LOG_LEVEL: LOG_LEVEL ?? (given.NODE_ENV === 'production' ? ('info' as const) : ('warn' as const)),
  }));

export type Config = z.infer<typeof EnvironmentSchema>;

/** Throws one line that names each setting that is wrong. */
export function readConfig(environment: Record<string, string | undefined>): Config {
  // A variable that is set to nothing is not set: compose files and shells cannot unset.
  const given = Object.entries(environment).filter(([, value]) => value !== '');
  const parsed = EnvironmentSchema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  throw new Error(`the environment is not usable: ${wrong}`);
}
