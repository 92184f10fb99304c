// Random histories of commands, played against the API and the model side by side. A failure prints the seed and the path that replay it:
// FC_SEED=… FC_PATH=… npx vitest run test/model/property.test.ts
import fc from 'fast-check';
import { afterAll, expect, inject, test } from 'vitest';
import { aTenant } from '../support/factories.ts';
import { startServer } from '../support/server.ts';
import { intents } from './commands.ts';
import { Play } from './play.ts';

const lanes = inject('fault_rounds') === 1 ? 4 : 12;
const { FC_SEED, FC_RUNS, FC_PATH } = process.env;
// The short form plays the same histories each time, so that a change is judged and not luck; the long form plays new ones.
const usual_seed = inject('fault_rounds') === 1 ? 182_343_878 : Date.now() % 1_000_000_000;
const seed = FC_SEED === undefined ? usual_seed : Number(FC_SEED);
const usual_runs = inject('fault_rounds') === 1 ? 20 : 120 * inject('fault_rounds');
const runs = FC_RUNS === undefined ? usual_runs : Number(FC_RUNS);

/** Bounds the search for a smaller history after a failure; a history takes a second or two. */
const limit_ms = 240_000 + 20_000 * Math.ceil(runs / lanes);

const server = await startServer();
/** outcome → how often */
const met = new Map<string, number>();

test.concurrent.each(Array.from({ length: lanes }, (_, lane) => lane))(
  `the ledger answers as the model does (lane %i of seed ${seed})`,
  async (lane) => {
    const property = fc.asyncProperty(intents, async (drawn) => {
      const tenant = await aTenant();
      const play = new Play(server.client(tenant.api_key), met);
      await play.begin();
      for (const intent of drawn) await play.step(intent);
    });
    await fc.assert(property, {
      seed: seed + lane,
      numRuns: Math.ceil(runs / lanes),
      interruptAfterTimeLimit: limit_ms,
      markInterruptAsFailure: true,
      ...(FC_PATH === undefined ? {} : { path: FC_PATH }),
    });
  },
  2 * limit_ms,
);

/** What so many random commands cannot miss; a history that meets only refusals would prove little. */
const expected = [
  ...['post', 'capture', 'void', 'reverse', 'bulk', 'update_account', 'close_account', 'reopen_account'],
  ...['insufficient_funds', 'limit_exceeded', 'account_closed', 'reference_taken', 'entries_unbalanced'],
  ...['transaction_not_pending', 'capture_exceeds_hold', 'reversal_exceeds_transaction', 'already_reversed'],
  ...['entries_required', 'replayed'],
  ...['balance', 'balance as_of', 'balance known_at', 'balance as_of known_at'],
];

afterAll(() => {
  const all = [...met].sort((a, b) => b[1] - a[1]);
  console.log(`seed ${seed}: ${all.map(([outcome, count]) => `${outcome} ${count}`).join(', ')}`);
  if (runs >= 20) expect(expected.filter((outcome) => !met.has(outcome))).toEqual([]);
});
