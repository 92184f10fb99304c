// Traffic that outlives its server: clients that post without pause, remember what each key was answered, and settle afterwards what they
// could not know at the time.
import { expect } from 'vitest';
import { z } from 'zod';
import { waitFor } from '../support/wait.ts';
import { BalanceAnswer, EventPage, type EventShape } from './answers.ts';
import { Wire } from './wire.ts';

/** One key: what was answered, or null while nobody knows. */
interface Sent {
  key: string;
  body: unknown;
  answer: string | null;
}

const resent_max = 400;
/** for a Postgres that recovers, on a machine and a disk that others use too */
const recovery_ms = 60_000;
const Identified = z.looseObject({ id: z.string() });

export class Traffic {
  readonly sent: Sent[] = [];
  readonly #wire: Wire;
  readonly #clients: Promise<void>[] = [];
  #stopping = false;
  #recovering: Promise<unknown> | null = null;
  acknowledged = 0;

  constructor(url: string, api_key: string, clients: number) {
    this.#wire = new Wire(url, api_key, clients);
    for (let n = 0; n < clients; n += 1) this.#clients.push(this.#post(n));
  }

  get unknown(): number {
    return this.sent.filter((each) => each.answer === null).length;
  }

  /** Waits until so many more are acknowledged. */
  async flows(more: number): Promise<void> {
    const enough = this.acknowledged + more;
    await waitFor(`${more} more are acknowledged`, () => this.acknowledged >= enough, {
      timeout_ms: recovery_ms,
    });
  }

  /** Waits until something is acknowledged that was not under way before. */
  flowsAgain(): Promise<void> {
    return this.flows(this.#clients.length + 1);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  /**
   * Sends the unknown keys once more, and then once again: what was unknown becomes known, and stays so. Of the others
   * a share is sent again: the bytes are the same. Answers how many of the unknown had been done before.
   */
  async settle(): Promise<number> {
    let done_before = 0;
    const nth = Math.ceil(this.sent.length / resent_max);
    const resent = this.sent.filter((sent, i) => sent.answer === null || i % nth === 0);
    let next = 0;
    const worker = async () => {
      for (let sent = resent[next++]; sent !== undefined; sent = resent[next++]) {
        if (sent.answer === null) {
          const first = await this.#answered(sent);
          if (first.replayed) done_before += 1;
          sent.answer = first.text;
        }
        const again = await this.#answered(sent);
        expect([sent.key, again.text, again.replayed]).toEqual([sent.key, sent.answer, true]);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return done_before;
  }

  /** After `settle`: the log has one event for each key, with the id that was answered, and as much money has moved. */
  async expectOnce(): Promise<void> {
    const events: EventShape[] = [];
    for (;;) {
      const answer = await this.#wire.send('GET', `/v1/events?after=${events.length}&limit=200`);
      const page = EventPage.parse(JSON.parse(answer.text));
      events.push(...page.data);
      if (!page.has_more) break;
    }
    expect(events.filter((event, i) => event.position !== i + 1)).toEqual([]);
    const written = events.filter((event) => event.type === 'ledger.transaction_posted').map(keyAndId);
    const answered = this.sent.map(
      (sent) => `${sent.key} ${Identified.parse(JSON.parse(String(sent.answer))).id}`,
    );
    expect(written.sort()).toEqual(answered.sort());
    const balance = await this.#wire.send('GET', '/v1/accounts/wallet/balance');
    expect(BalanceAnswer.parse(JSON.parse(balance.text)).posted.balance).toBe(String(this.sent.length));
    await this.#wire.close();
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
        await this.#recovers();
      }
    }
  }

  /** All clients wait for the server together, or their questions would be what it does first. */
  #recovers(): Promise<unknown> {
    this.#recovering ??= waitFor(
      'the server is ready',
      async () => this.#stopping || (await this.#isReady()),
      { timeout_ms: recovery_ms },
    ).finally(() => {
      this.#recovering = null;
    });
    return this.#recovering;
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

function keyAndId(event: EventShape): string {
  return `${String(Object(event.data.metadata).key)} ${event.subject}`;
}
