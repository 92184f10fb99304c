// What an orchestrator asks: is the process alive, and may it be sent requests.
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { queries } from '../db.ts';
import type { Context } from '../module.ts';

const sql = queries(import.meta.url, 'database_ping');

/** an answer later than this is no answer to an orchestrator */
const patience_ms = 2_000;
/** between two looks at a schema that is not current */
const schema_recheck_ms = 5_000;

export interface Readiness {
  ready: boolean;
  /** what is asked → `ok`, or what is wrong */
  checks: Record<string, string>;
}

const PingSchema = z.object({ alive: z.literal(true) });

/** Readiness: the database answers, its schema is that of this version, and the process is not stopping. */
export function createReadiness(
  context: Context,
  schemaDifferences: () => Promise<string[]>,
): () => Promise<Readiness> {
  let schema: { differences: string[]; read_ms: number } | null = null;
  const schemaCheck = async () => {
    const is_fresh =
      schema !== null &&
      (schema.differences.length === 0 || performance.now() - schema.read_ms < schema_recheck_ms);
    if (schema === null || !is_fresh) {
      schema = { differences: await schemaDifferences(), read_ms: performance.now() };
    }
    return schema.differences.length === 0 ? 'ok' : 'not current: run `lattice migrate`';
  };
  const databaseCheck = async () => {
    await context.database.call(sql.database_ping, {}, PingSchema);
    return 'ok';
  };
  const look = async () => {
    const [database, schema_state] = await Promise.all([
      patiently(databaseCheck(), 'not reachable'),
      patiently(schemaCheck(), 'unknown'),
    ]);
    const draining = context.draining.aborted ? 'stopping' : 'ok';
    const checks = { database, schema: schema_state, process: draining };
    return { ready: Object.values(checks).every((state) => state === 'ok'), checks };
  };
  // Anybody may ask, without a key: however many do at once, the database is asked once.
  let looking: Promise<Readiness> | null = null;
  return () => {
    looking ??= look().finally(() => {
      looking = null;
    });
    return looking;
  };
}

/** Why a check failed is for the log of what failed; whoever asks only learns which. */
async function patiently(check: Promise<string>, otherwise: string): Promise<string> {
  const timeout = new AbortController();
  const answered = check.then(
    (state) => state,
    () => otherwise,
  );
  const late = delay(patience_ms, otherwise, { signal: timeout.signal }).catch(() => otherwise);
  const state = await Promise.race([answered, late]);
  timeout.abort();
  return state;
}
