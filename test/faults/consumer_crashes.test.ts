// A process that follows the log is killed at each step of a slice: before its first write, after it, as its position moves, and within
// COMMIT. Whatever came of the slice, its effects are there once, and whoever comes next goes on.
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { asSuperuser, databaseUrl } from '../support/database.ts';
import { Dice, seed } from '../support/dice.ts';
import { anAccount, aTenant, aTransaction } from '../support/factories.ts';
import { LogReader } from '../support/log_reader.ts';
import { freePort } from '../support/port.ts';
import { startProcess } from '../support/process.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const rounds = inject('fault_rounds');
const timeout_ms = 60_000 + 60_000 * rounds;
/** from ready to the first event; how long it takes from the kill is what the bench measures */
const delivery_ms = 1_000;

const steps = ['begin', 'apply', 'end', 'commit'] as const;
type Step = (typeof steps)[number];
/** of the advisory locks that stand for the steps */
const gate_class = 4_711;

// Takes requests and follows nothing, so that what follows can be killed.
const server = await startServer({ CONSUMERS: 'off' });
const gatekeeper = new pg.Client({ connectionString: databaseUrl('postgres') });

beforeAll(async () => {
  await gatekeeper.connect();
  for (const text of [
    `create function public.pass_gate() returns trigger language plpgsql as $$
     begin perform pg_advisory_xact_lock_shared(${gate_class}, tg_argv[0]::integer); return null; end $$`,
    `create trigger applied after insert or update on projection.balances_v
     for each statement execute function public.pass_gate(${steps.indexOf('apply')})`,
    `create trigger ended after update on log.consumer
     for each row execute function public.pass_gate(${steps.indexOf('end')})`,
    `create constraint trigger committing after update on log.consumer deferrable initially deferred
     for each row execute function public.pass_gate(${steps.indexOf('commit')})`,
  ]) {
    await asSuperuser(z.unknown(), text);
  }
});
afterAll(() => gatekeeper.end());

/** From now on a consumer stops at this step; answers whether one stands there. */
async function closeGate(step: Step): Promise<() => Promise<boolean>> {
  await gatekeeper.query('begin');
  await gatekeeper.query(
    step === 'begin'
      ? 'lock table projection.balances_v in share mode'
      : `select pg_advisory_xact_lock(${gate_class}, ${steps.indexOf(step)})`,
  );
  return async () => {
    const { rowCount } = await gatekeeper.query(
      `select from pg_locks join pg_stat_activity using (pid)
       where datname = current_database() and not granted and (
         (locktype = 'advisory' and classid = ${gate_class})
         or (locktype = 'relation' and relation = 'projection.balances_v'::regclass))`,
    );
    return (rowCount ?? 0) > 0;
  };
}

const openGate = () => gatekeeper.query('commit');

const ConsumersSchema = z.object({
  data: z.array(z.looseObject({ name: z.string(), lag_events: z.number(), status: z.string() })),
});

async function aBusyTenant() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const [debit, credit] = [await anAccount(api), await anAccount(api)];
  const post = () => aTransaction(api, { debit: debit.id, credit: credit.id });
  return { tenant, api, post };
}

test(
  `a process that is killed at any step of a slice leaves each effect once (seed ${seed})`,
  async () => {
    const dice = new Dice('steps');
    const { api, post } = await aBusyTenant();
    let process = await startProcess();
    for (let round = 0; round < rounds; round += 1) {
      for (const step of steps) {
        const isThere = await closeGate(step);
        for (let posts = dice.between(1, 20); posts > 0; posts -= 1) await post();
        await waitFor(`a consumer has come to ${step}`, isThere);
        await process.end('SIGKILL');
        await openGate();
        for (let posts = dice.between(0, 5); posts > 0; posts -= 1) await post();
        process = await startProcess();
      }
    }
    await post();
    await waitFor(
      'all consumers have come to the end',
      async () => {
        const { data } = (await api.get('/v1/consumers')).as(ConsumersSchema);
        return data.length > 1 && data.every(({ lag_events }) => lag_events === 0);
      },
      { timeout_ms: 30_000 },
    );
    // Recounts every entry against every projection.
    expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true, differences: [] });
    await process.end('SIGTERM');
  },
  timeout_ms,
);

test(
  'a killed process delivers again as soon as it is there again',
  async () => {
    const { tenant, post } = await aBusyTenant();
    const port = String(await freePort());
    let process = await startProcess({ PORT: port });
    const reader = new LogReader({ url: () => process.url, api_key: tenant.api_key });
    for (let round = 0; round < rounds; round += 1) {
      await post();
      await waitFor('the stream flows', () => reader.first_heard_ms !== null);
      const before = reader.connections;
      await process.end('SIGKILL');
      const missed = await post();
      process = await startProcess({ PORT: port });
      const ready_ms = performance.now();
      await reader.reached(missed.position);
      expect(reader.connections).toBe(before + 1);
      expect((reader.first_heard_ms ?? 0) - ready_ms).toBeLessThan(delivery_ms);
    }
    reader.close();
    expect(reader.problems).toEqual([]);
  },
  timeout_ms,
);
