// LISTEN and NOTIFY on one connection past any pooler, over pg-listen. A message may be lost whenever the connection is: whoever listens is
// told when it is there again, and reads what may have been missed.
import pg from 'pg';
import pgListen, { type Subscriber } from 'pg-listen';
import type { Logger } from '../../log.ts';

const channel = 'lattice_log';
/** until the next attempt to connect */
const retry_ms = 200;
/** for a connection, and for an answer on it; one that takes longer is taken for lost */
const patience_ms = 5_000;

type Listener = Subscriber<Record<string, string>>;

export interface WakePortOptions {
  /** past a pooler that gives a connection to another client after each transaction */
  connection_string: string;
  logger: Logger;
  onMessage: (message: string) => void;
  /** the connection is there, for the first time or again */
  onConnected: () => void;
  onLost: () => void;
}

export class WakePort {
  readonly #options: WakePortOptions;
  #listener: Listener | null = null;
  #again: NodeJS.Timeout | null = null;
  #is_connected = false;
  #is_closed = false;

  constructor(options: WakePortOptions) {
    this.#options = options;
  }

  get is_connected(): boolean {
    return this.#is_connected;
  }

  /** Connects, and connects again whenever the connection is lost, until `close`. Does not wait for it. */
  open(): void {
    const listener = pgListen.default<Record<string, string>>(
      {
        connectionString: this.#options.connection_string,
        application_name: 'lattice listen',
        connectionTimeoutMillis: patience_ms,
        query_timeout: patience_ms,
        // A message has nothing that must be on disk.
        options: '-c synchronous_commit=off',
      },
      {
        parse: (text: string) => text,
        serialize: (text: string) => text,
        // Its check runs beside other queries; whoever sends regularly finds a dead connection as well.
        paranoidChecking: false,
        retryTimeout: 0,
        retryInterval: () => {
          // The only way to end its attempts.
          if (this.#listener !== listener) throw new Error('the port is closed');
          return retry_ms;
        },
      },
    );
    this.#listener = listener;
    // Whoever may connect may send, and what is empty arrives as nothing at all.
    listener.notifications.on(channel, (message: string | undefined) => {
      if (message !== undefined) this.#options.onMessage(message);
    });
    listener.events.on('reconnect', () => this.#lost(listener));
    listener.events.on('connected', () => void this.#listen(listener));
    // It gives up when a connection is lost while it begins to listen again; a new one does not.
    listener.events.on('error', (error) => this.#replace(listener, error));
    listener.connect().catch((error: unknown) => this.#replace(listener, error));
  }

  /** Tells the listeners of all processes, this one too. Fails when the connection is lost or the queue of Postgres is full. */
  async send(message: string): Promise<void> {
    const listener = this.#listener;
    if (listener === null || !this.#is_connected) throw new Error('not connected');
    try {
      await listener.notify(channel, message);
    } catch (error) {
      // What Postgres itself refuses came over a connection that works.
      if (!(error instanceof pg.DatabaseError)) this.#replace(listener, error);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#is_closed = true;
    if (this.#again !== null) clearTimeout(this.#again);
    const listener = this.#listener;
    this.#listener = null;
    this.#is_connected = false;
    if (listener !== null) await dispose(listener);
  }

  async #listen(listener: Listener): Promise<void> {
    // It went on connecting after it was closed.
    if (this.#listener !== listener) return dispose(listener);
    try {
      await listener.listenTo(channel);
    } catch (error) {
      this.#replace(listener, error);
      return;
    }
    if (this.#listener !== listener) return;
    this.#is_connected = true;
    this.#options.onConnected();
  }

  #lost(listener: Listener): void {
    if (this.#listener !== listener || !this.#is_connected) return;
    this.#is_connected = false;
    this.#options.onLost();
  }

  #replace(listener: Listener, error: unknown): void {
    void dispose(listener);
    if (this.#listener !== listener || this.#is_closed) return;
    this.#lost(listener);
    this.#listener = null;
    this.#options.logger.debug({ err: error }, 'the connection for wake-ups is made anew');
    this.#again = setTimeout(() => this.open(), retry_ms);
  }
}

/** Resolves in any case: a connection that is broken cannot be said goodbye to. */
async function dispose(listener: Listener): Promise<void> {
  await listener.close().then(
    () => undefined,
    () => undefined,
  );
}
