import { z } from 'zod';
import { maybeDecodeId } from '../../src/id.ts';
import { RunFailed, runLoad } from '../measure.ts';
import { note } from '../notes.ts';
import { recountBalance } from '../proof.ts';
import { cpuLine, latencies, type Row } from '../report.ts';
import type { Stack } from '../stack.ts';
import { hot_account } from '../traffic.ts';
import { type OpenTenant, type Workload, withStack } from '../workload.ts';

const entries = 1_000_000;
const days = 270;
const connections = 4;
const targets = 4_096;
const recounted = 5;

const BalanceSchema = z.object({
  account_id: z.string(),
  posted: z.object({ balance: z.string() }),
  position: z.int(),
});

interface Question {
  as_of: string | null;
  known_at: number | null;
}

/** The four ways of asking, with random instants of the months and random positions of the log. */
const kinds: Record<string, (head: number) => Question> = {
  now: () => ({ as_of: null, known_at: null }),
  'as-of': () => ({ as_of: randomInstant(), known_at: null }),
  'known-at': (head) => ({ as_of: null, known_at: randomPosition(head) }),
  both: (head) => ({ as_of: randomInstant(), known_at: randomPosition(head) }),
};

export const balance_1m: Workload = {
  name: 'balance-1m',
  description: `GET balance of an account with a million entries, half of them effective on one of the ${days} days before, ${connections} connections`,
  unit: 'ms, p99',
  run: (bench) =>
    withStack(async (stack, open) => {
      const opened = await open('history', 1_000);
      note(`posting ${entries.toLocaleString('en')} entries to one account`);
      for (let step = 0; step < 4; step += 1) {
        await runLoad(
          stack,
          [opened.tenant],
          { kind: 'history', tenant: opened.traffic, transactions: 1_000, days },
          { connections: 4, warmup_seconds: 0, seconds: 0, requests: entries / 4 / 1_000 },
        );
      }
      const { position } = await readBalance(stack, opened, { as_of: null, known_at: null });
      const rows: Row[] = [];
      for (const [kind, question] of Object.entries(kinds)) {
        const questions = Array.from({ length: targets }, () => question(position));
        await compareWithRecount(stack, opened, questions.slice(0, recounted));
        const measurement = await runLoad(
          stack,
          [],
          { kind: 'targets', api_key: opened.tenant.api_key, targets: questions.map(target) },
          { connections, warmup_seconds: 1, seconds: bench.reference_seconds },
        );
        const { result } = measurement;
        note(
          `${kind}: ${Math.round(result.requests / result.seconds).toLocaleString('en')} reads/s, ${cpuLine([measurement])}`,
        );
        const spread = latencies([measurement]);
        rows.push({
          workload: `balance-1m-${kind}`,
          value: spread.p99_ms,
          unit: balance_1m.unit,
          reference: null,
          ratio: null,
          ...spread,
          errors: 0,
        });
      }
      return rows;
    }),
};

/** A fast answer is worth nothing when it is wrong. */
async function compareWithRecount(stack: Stack, opened: OpenTenant, questions: Question[]): Promise<void> {
  for (const question of questions) {
    const answer = await readBalance(stack, opened, question);
    const account_id = maybeDecodeId('account', answer.account_id);
    if (account_id === null) throw new RunFailed(`${answer.account_id} is not an account's id`, 1);
    const counted = await recountBalance(stack, opened.tenant, { account_id, ...question });
    if (counted !== answer.posted.balance) {
      throw new RunFailed(
        `${target(question)} answers ${answer.posted.balance}, its entries come to ${counted}`,
        1,
      );
    }
  }
}

async function readBalance(stack: Stack, opened: OpenTenant, question: Question) {
  const response = await fetch(`http://127.0.0.1:${stack.port}${target(question)}`, {
    headers: { Authorization: `Bearer ${opened.tenant.api_key}` },
  });
  return BalanceSchema.parse(await response.json());
}

function target({ as_of, known_at }: Question): string {
  const query = new URLSearchParams({
    ...(as_of === null ? {} : { as_of }),
    ...(known_at === null ? {} : { known_at: String(known_at) }),
  });
  return `/v1/accounts/${hot_account}/balance${query.size === 0 ? '' : `?${query}`}`;
}

function randomInstant(): string {
  return new Date(Date.now() - Math.random() * days * 86_400_000).toISOString();
}

function randomPosition(head: number): number {
  return 1 + Math.floor(Math.random() * head);
}
