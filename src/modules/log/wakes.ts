// Carries word of new events between processes: what this one appends is told to the others, and what they append is told here, through
// Database.onAppend. Hints only: whoever listens reads the log from where it stands, and looks by itself now and then, so a lost wake-up
// costs an interval, never an event.
//
// Nothing is sent from within a posting transaction. After commits at most one message goes out in 20 ms, for all tenants together.
import { randomBytes } from 'node:crypto';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Database } from '../../db.ts';
import type { Logger } from '../../log.ts';
import { WakePort } from './wake_port.ts';

/** between two messages; each takes a transaction, and its sender some 150 µs */
const message_interval_ms = 20;
/** A payload has less than 8,000 bytes; a tenant and its position have at most 54. */
const tenants_per_message = 140;
/** A connection that is silently gone is found by sending something. */
const check_interval_ms = 5_000;

export interface WakesOptions {
  database: Database;
  /** for LISTEN */
  connection_string: string;
  logger: Logger;
  metrics: Registry;
}

export class Wakes {
  readonly #options: WakesOptions;
  readonly #port: WakePort;
  readonly #resync_listeners = new Set<() => void>();
  /** what other processes have not been told */
  readonly #pending = new Map<string, number>();
  /** marks our own messages, which come back to us */
  readonly #origin = randomBytes(4).toString('hex');
  readonly #sent: Counter<'outcome'>;
  #stopListening: () => void = () => undefined;
  #timer: NodeJS.Timeout | null = null;
  #check: NodeJS.Timeout | null = null;
  #is_sending = false;
  #sent_ms = 0;
  #is_stopped = false;
  #is_failing = false;

  constructor(options: WakesOptions) {
    this.#options = options;
    const { metrics, logger, connection_string } = options;
    this.#port = new WakePort({
      connection_string,
      logger,
      onMessage: (message) => this.#receive(message),
      onConnected: () => this.#resync(),
      onLost: () =>
        logger.warn('the connection for wake-ups is lost; consumers and streams look by themselves'),
    });
    this.#sent = new Counter({
      name: 'lattice_wake_messages_total',
      help: 'Messages that told other processes of new events, by outcome; a message that fails is replaced by polling',
      labelNames: ['outcome'],
      registers: [metrics],
    });
    // Of a series that begins at 1, nobody sees that it has risen.
    for (const outcome of ['sent', 'failed']) this.#sent.inc({ outcome }, 0);
    const port = this.#port;
    new Gauge({
      name: 'lattice_wake_connected',
      help: '1 while this process hears of what other processes append',
      registers: [metrics],
      collect() {
        this.set(port.is_connected ? 1 : 0);
      },
    });
  }

  /** Whether other processes' appends are heard of; otherwise one looks more often. */
  get is_connected(): boolean {
    return this.#port.is_connected;
  }

  start(): void {
    this.#stopListening = this.#options.database.onAppend((tenant_id, position, by) => {
      if (by === 'others') return;
      this.#pending.set(tenant_id, position);
      this.#schedule();
    });
    this.#port.open();
    this.#check = setInterval(() => {
      if (performance.now() - this.#sent_ms >= check_interval_ms) void this.#send();
    }, check_interval_ms);
  }

  async stop(): Promise<void> {
    this.#is_stopped = true;
    this.#stopListening();
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#check !== null) clearInterval(this.#check);
    await this.#port.close();
  }

  /** Messages may have been lost: calls `listener` when they arrive again, to look at everything that it follows. */
  onResync(listener: () => void): () => void {
    this.#resync_listeners.add(listener);
    return () => this.#resync_listeners.delete(listener);
  }

  #resync(): void {
    for (const listener of this.#resync_listeners) listener();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#is_sending || this.#is_stopped) return;
    // Never at once: whoever has just committed has answers to give, and what commits beside it goes along.
    const wait_ms = Math.max(0, this.#sent_ms + message_interval_ms - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#send();
    }, wait_ms);
  }

  async #send(): Promise<void> {
    if (this.#is_sending) return;
    this.#is_sending = true;
    this.#sent_ms = performance.now();
    const told = [...this.#pending].slice(0, tenants_per_message);
    for (const [tenant_id] of told) this.#pending.delete(tenant_id);
    const message = [this.#origin, ...told.map(([tenant_id, position]) => `${tenant_id}:${position}`)].join(
      ' ',
    );
    try {
      await this.#port.send(message);
      this.#sent.inc({ outcome: 'sent' });
      this.#is_failing = false;
    } catch (error) {
      // The other processes find out by looking.
      this.#sent.inc({ outcome: 'failed' });
      if (!this.#is_failing && this.#port.is_connected)
        this.#options.logger.warn({ err: error }, 'other processes are not told of new events');
      this.#is_failing = true;
    } finally {
      this.#is_sending = false;
      if (this.#pending.size > 0) this.#schedule();
    }
  }

  #receive(message: string): void {
    const [origin, ...told] = message.split(' ');
    if (origin === this.#origin) return;
    for (const each of told) {
      const [, tenant_id, position] = /^([0-9a-f-]{36}):([0-9]{1,15})$/.exec(each) ?? [];
      // Anybody who may connect may send; what has not our form is not ours.
      if (tenant_id !== undefined) this.#options.database.appended(tenant_id, Number(position), 'others');
    }
  }
}
