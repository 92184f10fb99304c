import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { copyPostings } from '../copies.ts';
import { inTurn, runLoad } from '../measure.ts';
import { note } from '../notes.ts';
import { prove } from '../proof.ts';
import { rateRow, spreadLine, transactionsPerSecond } from '../report.ts';
import { root, Stack } from '../stack.ts';
import {
  type Bench,
  type OpenTenant,
  openTenant,
  postSingly,
  type Workload,
  withStack,
} from '../workload.ts';

const accounts = 10_000;
/** the others are copies of these */
const posted_transactions = 50_000;
const transactions_per_request = 1_000;

export const single_at_20m: Workload = {
  name: 'single-at-20m',
  description:
    'single posts with 20 million entries already there; compared with the rate of an empty ledger beside it',
  unit: 'transactions/s',
  run: async (bench) => {
    const directory = preparedDirectory(bench.entries);
    await prepare(bench, directory);
    const full = await Stack.start(directory);
    try {
      const prepared = readPrepared(directory);
      const row = await withStack(async (empty, open) => {
        const opened = await open('empty', accounts);
        const sides = await inTurn(
          bench.rounds,
          () => postSingly(bench, empty, [opened]),
          () => postSingly(bench, full, [prepared]),
        );
        note(spreadLine('empty', sides.baseline.map(transactionsPerSecond)));
        note(spreadLine('full', sides.subject.map(transactionsPerSecond)));
        return rateRow(single_at_20m.name, sides);
      });
      await prove(full, [prepared.tenant]);
      return [row];
    } finally {
      await full.stop();
    }
  },
};

/** Filling takes minutes, so it is done once for each schema and number of entries. */
function preparedDirectory(entries: number): string {
  const checksum = createHash('sha256');
  for (const file of globSync('sql/{migrations,functions}/**/*.sql', { cwd: root }).sort()) {
    checksum.update(readFileSync(join(root, file)));
  }
  return join(tmpdir(), `lattice-bench-${entries}-entries-${checksum.digest('hex').slice(0, 12)}`);
}

const PreparedSchema = z.object({
  tenant: z.object({ id: z.string(), api_key: z.string() }),
  traffic: z.object({ api_key: z.string(), accounts: z.int() }),
});

function readPrepared(directory: string): OpenTenant {
  return PreparedSchema.parse(JSON.parse(readFileSync(join(directory, 'prepared.json'), 'utf8')));
}

/** Posts the first of the entries through the bulk route, and copies them: the rows that the measured posts meet, in minutes instead of half an hour. */
async function prepare(bench: Bench, directory: string): Promise<void> {
  if (existsSync(join(directory, 'prepared.json'))) return;
  rmSync(directory, { recursive: true, force: true });
  note(`filling ${directory} with ${bench.entries.toLocaleString('en')} entries, once`);
  const stack = await Stack.start(directory);
  try {
    const opened = await openTenant(stack, 'full', accounts);
    await runLoad(
      stack,
      [opened.tenant],
      { kind: 'bulk', tenant: opened.traffic, transactions: transactions_per_request },
      {
        connections: 4,
        warmup_seconds: 0,
        seconds: 0,
        requests: posted_transactions / transactions_per_request,
      },
    );
    const copies = Math.ceil(bench.entries / 2 / posted_transactions) - 1;
    await copyPostings(stack, opened.tenant, copies);
    await prove(stack, [opened.tenant]);
    writeFileSync(join(directory, 'prepared.json'), JSON.stringify(opened), { mode: 0o600 });
  } finally {
    await stack.stop();
  }
}
