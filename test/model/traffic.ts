// Traffic that outlives its server: clients that post without pause, remember what each key was answered, and settle afterwards what they
// could not know at the time.
import { expect } from 'vitest';
import type { Client } from '../support/client.ts';
import { waitFor } from '../support/wait.ts';
import { BalanceAnswer, EventPage, type EventShape } from './answers.ts';
import { Wire } from './wire.ts';

/** One key: what was answered, or null while nobody knows. */
interface Sent {
  key: string;
  body: unknown;
  answer: string | null;
}

export class Traffic {
  readonly sent: Sent[] = [];
  readonly #wire: Wire;
  readonly #clients: Promise<void>[] = [];
  #stopping = false;
  acknowledged = 0;

  constructor(url: string, api_key: string, clients: number) {
    this.#wire = new Wire(url, api_key, clients);
    for (let n = 0; n < clients; n += 1) this.#clients.push(this.#post(n));
  }

  get unknown(): number {
    return this.sent.filter((each) => each.answer === null).length;
  }

  /** Waits until so many more are acknowledged. */
  async flows(more: number, timeout_ms = 20_000): Promise<void> {
    const enough = this.acknowledged + more;
    await waitFor(`${more} more are acknowledged`, () => this.acknowledged >= enough, { timeout_ms });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  /**
   * Sends every key once more. What was acknowledged must be answered with the same bytes; what was unknown becomes
   * known, and stays so. Answers how many of the unknown had been done before.
   */
  async settle(): Promise<number> {
    let done_before = 0;
    let next = 0;
    const worker = async () => {
      for (let sent = this.sent[next++]; sent !== undefined; sent = this.sent[next++]) {
        const again = await this.#answered(sent);
        if (sent.answer === null) {
          if (again.replayed) done_before += 1;
          sent.answer = again.text;
        }
        expect([sent.key, again.text]).toEqual([sent.key, sent.answer]);
        const once_more = await this.#answered(sent);
        expect([sent.key, once_more.text, once_more.replayed]).toEqual([sent.key, sent.answer, true]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    await this.#wire.close();
    return done_before;
  }

  async #post(n: number): Promise<void> {
    for (let i = 0; !this.#stopping; i += 1) {
      const key = `traffic-${n}-${i}`;
      const sent: Sent = { key, body: transfer(key), answer: null };
      this.sent.push(sent);
      const answer = await this.#wire.send('POST', '/v1/transactions', sent.body, key).catch(() => null);
      if (answer?.status === 201) {
        sent.answer = answer.text;
        this.acknowledged += 1;
      } else if (answer !== null && answer.status < 500) {
        throw new Error(`traffic was refused: ${answer.text}`);
      } else {
        await waitFor('the server is ready', () => this.#isReady() || this.#stopping, { timeout_ms: 30_000 });
      }
    }
  }

  async #isReady(): Promise<boolean> {
    return this.#wire.send('GET', '/readyz').then(
      (answer) => answer.status === 200,
      () => false,
    );
  }

  #answered(sent: Sent) {
    return waitFor(`${sent.key} is answered`, async () => {
      const answer = await this.#wire.send('POST', '/v1/transactions', sent.body, sent.key);
      return answer.status === 201 && answer;
    });
  }
}

/** The key is in the metadata, so that the log shows which key wrote what. */
function transfer(key: string) {
  return {
    entries: [
      { account: 'world', direction: 'debit', amount: '1' },
      { account: 'wallet', direction: 'credit', amount: '1' },
    ],
    metadata: { key },
  };
}

export const traffic_accounts = [
  { code: 'world', type: 'asset', currency: 'EUR' },
  { code: 'wallet', type: 'liability', currency: 'EUR', limits: { available_min: '0' } },
];

/** After `settle`: one event for each key, at dense positions, and as much money as there are keys. */
export async function expectOnce(api: Client, traffic: Traffic): Promise<void> {
  const events: EventShape[] = [];
  for (;;) {
    const page = (await api.get(`/v1/events?after=${events.length}&limit=200`)).as(EventPage);
    events.push(...page.data);
    if (!page.has_more) break;
  }
  expect(events.map((event) => event.position)).toEqual(events.map((_, i) => i + 1));
  const written = events.filter((event) => event.type === 'ledger.transaction_posted').map(keyOf);
  expect(written.sort()).toEqual(traffic.sent.map((sent) => sent.key).sort());
  const balance = (await api.get('/v1/accounts/wallet/balance')).as(BalanceAnswer);
  expect(balance.posted.balance).toBe(String(traffic.sent.length));
}

function keyOf(event: EventShape): unknown {
  return Object(event.data.metadata).key;
}
