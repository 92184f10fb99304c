// Starts everything, step by step, serves until it is told to stop, and stops in reverse.
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import type { Config } from '../config.ts';
import type { Database } from '../db.ts';
import { createLogger, type Logger } from '../log.ts';
import { type Proof, signingKeysRefusal } from '../modules/proofs/index.ts';
import { type Api, createApi, maybeKept } from './api.ts';
import { command } from './command.ts';
import { type Demo, isValid, keep, loadDemoMonth, openDemoTenant, openPlatform } from './demo.ts';
import { migrateAsOwner } from './migrate.ts';
import { milliseconds, type Output } from './output.ts';
import {
  checkSchema,
  embeddedRefusal,
  findSession,
  openPostgres,
  type Postgres,
  sessionRefusal,
} from './postgres.ts';
import { proofSummary, readProof } from './proof.ts';
import { openServer, probeAddress } from './server.ts';

/** npm passes on a Ctrl-C that the terminal has sent to us already: what comes this soon after is the same one. */
const same_signal_ms = 300;
/** The proof recounts everything; a large ledger need not wait for it. */
const proof_patience_ms = 2_000;

interface Boot {
  config: Config;
  logger: Logger;
  with_demo: boolean;
  /** aborted when the process is to stop, with the reason when that is a failure */
  stopping: AbortController;
  step: Step;
  /** what to end, last first */
  closers: (() => Promise<void>)[];
  /** lets go of Postgres without waiting */
  abandon: () => void;
}

/** Does something, then says what, and how long it took. */
type Step = <Result>(
  name: string,
  work: () => Promise<Result>,
  detail: (result: Result) => string,
) => Promise<Result>;

export const startCommand = command({
  name: 'start',
  summary: 'Starts Lattice: with DATABASE_URL on that PostgreSQL, else on an embedded one with a demo tenant',
  input: z.object({
    no_demo: z.boolean().default(false).describe('leave the embedded database without the demo tenant'),
  }),
  run: async ({ input, config, output }) => {
    process.umask(0o077);
    const began = performance.now();
    const logger = createLogger(config.LOG_LEVEL);
    const stopping = new AbortController();
    const boot: Boot = {
      config,
      logger,
      with_demo: !input.no_demo,
      stopping,
      step: createStep(config, output, logger, stopping.signal),
      closers: [],
      abandon: () => {},
    };
    listenForEnd(boot, output);
    try {
      const started = await start(boot);
      const ready = milliseconds(began, performance.now());
      if (config.NODE_ENV === 'production') logger.info({ url: started.url, took: ready }, 'ready');
      else output.line(welcome(started, ready).join('\n'));
      output.json({ ready: true, ...started });
      await aborted(stopping.signal);
    } catch (error) {
      // Told to stop while still starting.
      if (error !== stopping.signal.reason) throw error;
    } finally {
      for (const close of boot.closers.toReversed()) await close();
    }
    if (stopping.signal.reason instanceof Error && stopping.signal.reason.name !== 'AbortError') {
      throw stopping.signal.reason;
    }
    tell(boot, output, 'Stopped.');
    return 0;
  },
});

interface Started {
  url: string;
  demo: Demo | null;
  data_directory: string;
}

async function start(boot: Boot): Promise<Started> {
  const { config, logger, step, closers } = boot;
  checkSettings(config);
  await probeAddress(config.HOST, config.PORT);
  const postgres = await step(
    'PostgreSQL',
    async () => {
      const opened = await openPostgres(config, logger, (error) => boot.stopping.abort(error));
      closers.push(opened.stop);
      boot.abandon = opened.abandon;
      return opened;
    },
    ({ description }) => description,
  );
  await step(
    'Migrations',
    () => bringUpToDate(postgres, logger),
    (detail) => detail,
  );
  const server = await openServer(config, postgres.app_url, logger);
  closers.push(server.close);
  const prepared =
    postgres.kind === 'embedded'
      ? await server.within((inside_url) => prepare(boot, server.database, inside_url))
      : null;
  const url = await server.listen(config.HOST, config.PORT);
  if (prepared !== null) {
    keep(config.LATTICE_DATA_DIR, 'platform.json', { url, api_key: prepared.platform_key });
    if (prepared.demo !== null) {
      const { tenant_id, api_key } = prepared.demo;
      keep(config.LATTICE_DATA_DIR, 'demo.json', { url, tenant_id, api_key });
    }
  }
  return { url, demo: prepared?.demo ?? null, data_directory: config.LATTICE_DATA_DIR };
}

/** What the process would refuse later, when Postgres has been changed already: all of it, in one line. */
function checkSettings(config: Config): void {
  const refusals = [embeddedRefusal(config), signingKeysRefusal(config)].filter((why) => why !== null);
  if (refusals.length > 0) throw new Error(refusals.join('; '));
}

/** As the owner when we have it; else the schema must be current already. And in no case as somebody whom walls do not hold. */
async function bringUpToDate(postgres: Postgres, logger: Logger): Promise<string> {
  await checkSession(postgres.app_url);
  if (postgres.owner_url === null) {
    await checkSchema(postgres.app_url);
    return 'current';
  }
  const { applied, functions } = await migrateAsOwner(postgres.owner_url, logger);
  // There may be tables since then, and it their owner.
  await checkSession(postgres.app_url);
  if (postgres.kind === 'external') {
    await checkSchema(postgres.app_url, 'DATABASE_URL and DATABASE_OWNER_URL have to name one database');
  }
  if (applied.length + functions.length === 0) return 'current';
  return `${applied.length} applied, ${functions.length} functions`;
}

async function checkSession(app_url: string): Promise<void> {
  const refusal = sessionRefusal(await findSession(app_url));
  if (refusal !== null) throw new Error(refusal);
}

/** The platform's first key, and once the demo tenant with its month. */
async function prepare(
  { config, step, with_demo }: Boot,
  database: Database,
  url: string,
): Promise<{ platform_key: string; demo: Demo | null }> {
  const platform_key = await openPlatform(database, config.LATTICE_DATA_DIR);
  if (!with_demo) return { platform_key, demo: null };
  const kept = await maybeKeptDemo(database, config.LATTICE_DATA_DIR);
  const demo = await step(
    'Tenant',
    () => (kept === null ? openDemoTenant(database, url, platform_key) : Promise.resolve(kept)),
    ({ tenant_id }) => `demo (${tenant_id})`,
  );
  if (kept === null) {
    await step(
      'Demo month',
      () => loadDemoMonth(url, demo),
      ({ rows, posted }) => `${rows} rows of a processor, ${posted} transactions`,
    );
  }
  await step(
    'Proof',
    () => maybeProof(createApi(url, demo.api_key)),
    (proof) => (proof === null ? 'still counting: npm run lattice -- verify' : proofSummary(proof)),
  );
  return { platform_key, demo };
}

/** Null when it takes longer than somebody who waits for a start should. */
async function maybeProof(api: Api): Promise<Proof | null> {
  const patience = AbortSignal.timeout(proof_patience_ms);
  return readProof(api, patience).catch((error: unknown) => {
    if (patience.aborted) return null;
    throw error;
  });
}

/** demo.json is written when the demo is complete; its key is void when the database was begun anew. */
async function maybeKeptDemo(database: Database, data_directory: string): Promise<Demo | null> {
  const kept = maybeKept(join(data_directory, 'demo.json'));
  if (kept?.tenant_id === undefined || !(await isValid(database, kept.api_key))) return null;
  return { tenant_id: kept.tenant_id, api_key: kept.api_key };
}

function createStep(config: Config, output: Output, logger: Logger, stopping: AbortSignal): Step {
  return async (name, work, detail) => {
    stopping.throwIfAborted();
    const began = performance.now();
    const result = await work();
    const took = milliseconds(began, performance.now());
    const text = detail(result);
    if (config.NODE_ENV === 'production') logger.info({ step: name, detail: text, took }, 'started');
    else output.line(`  ${name.padEnd(11)} ${text.padEnd(62)} ${took.padStart(9)}`);
    output.json({ step: name, detail: text, took });
    return result;
  };
}

function welcome({ url, demo, data_directory }: Started, took: string): string[] {
  const lines = [
    `  ${'Ready'.padEnd(74)} ${took.padStart(9)}`,
    '',
    `  API      ${url}/v1`,
    `  Docs     ${url}/docs`,
  ];
  if (demo === null) return lines;
  return [
    ...lines,
    `  Key      ${data_directory}/demo.json (an owner's key of the demo tenant)`,
    '',
    `  curl -s ${url}/v1/trial_balance -H 'Authorization: Bearer ${demo.api_key}'`,
    '',
  ];
}

function tell({ config, logger }: Boot, output: Output, text: string): void {
  if (config.NODE_ENV === 'production') logger.info(text);
  else output.line(text);
}

/**
 * The first SIGTERM, Ctrl-C or hangup stops with grace, a second one at once: Postgres then shuts down by itself. What nobody listens to
 * any more stops too, for nobody knows that it runs.
 */
function listenForEnd(boot: Boot, output: Output): void {
  let first_at: number | null = null;
  for (const [name, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2],
    ['SIGHUP', 1],
  ] as const) {
    process.on(name, () => {
      if (first_at !== null && performance.now() - first_at < same_signal_ms) return;
      if (first_at !== null) {
        boot.abandon();
        process.exit(128 + number);
      }
      first_at = performance.now();
      tell(boot, output, 'Stopping: requests under way finish; once more stops at once.');
      boot.stopping.abort();
    });
  }
  process.stdout.once('error', () => {
    boot.stopping.abort(
      new Error('nobody reads what it says (standard output is closed), so it has stopped'),
    );
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
