// Server-sent events over a socket: heartbeats, clients that are slow or gone, keys that cease to open, and the end of the process.
// What is sent comes from a feed (src/stream.ts).
import type { Writable } from 'node:stream';
import { Counter, Gauge, type Registry } from 'prom-client';
import { Problem } from '../errors.ts';
import type { Principal } from '../route.ts';
import type { BeginFeed, Feed, Sink } from '../stream.ts';
import type { Exchange } from './exchange.ts';

/** spread, so that clients who all heard of the same event do not all hear of nothing in the same instant */
const heartbeat_ms = { least: 10_000, spread: 4_000 };
/** a client that takes nothing for so long is cut off: it resumes where it was */
const patience_ms = 30_000;
const sweep_interval_ms = 1_000;
/** how long the client waits before it comes back; spread, so that not all come at once */
const usual_retry_ms = { least: 1_000, spread: 2_000 };
const drain_retry_ms = { least: 500, spread: 4_500 };
/** for what was written last to go out */
const goodbye_ms = 2_000;
/** An idle peer that has vanished is found by the operating system. */
const probe_ms = 30_000;

const head = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  // A proxy that collects answers before it passes them on is told not to.
  'X-Accel-Buffering': 'no',
};

const reasons = ['client', 'slow', 'key', 'drain', 'feed', 'failure'] as const;
type Reason = (typeof reasons)[number];

export interface EventStreamsOptions {
  metrics: Registry;
  /** aborted when the process begins to stop */
  draining: AbortSignal;
  per_key: number;
  per_process: number;
  watchKey: (holder: Principal, onEnd: () => void) => Promise<() => void>;
}

/** The open streams of this process. */
export class EventStreams {
  readonly #options: EventStreamsOptions;
  readonly #open = new Set<EventStream>();
  readonly #by_key = new Map<string, number>();
  readonly #ended: Counter<'reason'>;
  readonly #written = { bytes: 0 };
  #reserved = 0;
  #sweeping: NodeJS.Timeout | null = null;

  constructor(options: EventStreamsOptions) {
    this.#options = options;
    const registers = [options.metrics];
    this.#ended = new Counter({
      name: 'lattice_streams_ended_total',
      help: 'Streams that have ended, by who ended them',
      labelNames: ['reason'],
      registers,
    });
    // Of a series that begins at 1, nobody sees that it has risen.
    for (const reason of reasons) this.#ended.inc({ reason }, 0);
    const written = this.#written;
    new Counter({
      name: 'lattice_stream_bytes_total',
      help: 'Bytes written to streams',
      registers,
      // Counted for each message of each client: a plain sum, until somebody asks.
      collect() {
        this.inc(written.bytes);
        written.bytes = 0;
      },
    });
    const open = this.#open;
    new Gauge({
      name: 'lattice_streams_open',
      help: 'Streams that are open',
      registers,
      collect() {
        this.set(open.size);
      },
    });
    options.draining.addEventListener('abort', () => {
      for (const stream of [...this.#open]) stream.end('drain', drain_retry_ms);
    });
  }

  /**
   * Opens a stream for an exchange that is admitted, and answers when it is open; it goes on after that.
   * Errors: `overloaded`, `stream_limit_reached`, those of the key, those of `prepare`.
   */
  async open(
    exchange: Exchange,
    principal: Principal,
    prepare: (resume_after: number | null) => Promise<BeginFeed>,
  ): Promise<void> {
    const release = this.#reserve(principal.actor_id);
    let stream: EventStream | null = null;
    let is_ended = false;
    const ends = [release];
    try {
      const stopWatching = await this.#options.watchKey(principal, () => {
        is_ended = true;
        stream?.end('key');
      });
      ends.push(stopWatching);
      const begin = await prepare(lastEventId(exchange));
      const { response } = exchange;
      // Whoever has left, or lost the key, while it was prepared needs no stream.
      if (response.destroyed || is_ended) {
        for (const end of ends) end();
        response.destroy();
        return;
      }
      if (exchange.method === 'HEAD') {
        exchange.beginStream(head);
        response.end();
        for (const end of ends) end();
        return;
      }
      exchange.beginStream(head);
      stream = new EventStream(exchange, this.#written, (closed, reason) => {
        this.#open.delete(closed);
        this.#ended.inc({ reason });
        for (const end of ends) end();
        if (this.#open.size === 0) this.#stopSweeping();
      });
      this.#open.add(stream);
      this.#sweeping ??= setInterval(() => this.#sweep(), sweep_interval_ms);
      stream.begin(begin);
      if (this.#options.draining.aborted) stream.end('drain', drain_retry_ms);
    } catch (error) {
      if (stream === null) for (const end of ends) end();
      throw error;
    }
  }

  /** Errors: `overloaded`, `stream_limit_reached`. */
  #reserve(key_id: string): () => void {
    const { per_key, per_process, draining } = this.#options;
    const of_key = this.#by_key.get(key_id) ?? 0;
    if (draining.aborted || this.#reserved >= per_process) {
      throw new Problem('overloaded', 'No more streams can be opened here at the moment', {
        headers: { 'Retry-After': '2' },
      });
    }
    if (of_key >= per_key) {
      throw new Problem('stream_limit_reached', `A key may have ${per_key} streams open at once`, {
        headers: { 'Retry-After': '5' },
      });
    }
    this.#reserved += 1;
    this.#by_key.set(key_id, of_key + 1);
    return () => {
      this.#reserved -= 1;
      const left = (this.#by_key.get(key_id) ?? 1) - 1;
      if (left > 0) this.#by_key.set(key_id, left);
      else this.#by_key.delete(key_id);
    };
  }

  #sweep(): void {
    const now_ms = performance.now();
    for (const stream of this.#open) stream.sweep(now_ms);
  }

  #stopSweeping(): void {
    if (this.#sweeping !== null) clearInterval(this.#sweeping);
    this.#sweeping = null;
  }
}

class EventStream implements Sink {
  readonly #exchange: Exchange;
  /** The socket itself: a response would cork and uncork it around each message. One that waits behind others has none yet. */
  readonly #out: Writable;
  readonly #written: { bytes: number };
  readonly #onClosed: (stream: EventStream, reason: Reason) => void;
  readonly #heartbeat_ms = jittered(heartbeat_ms);
  #feed: Feed | null = null;
  #written_ms = performance.now();
  #blocked_since_ms: number | null = null;
  #reason: Reason | null = null;

  constructor(
    exchange: Exchange,
    written: { bytes: number },
    onClosed: (stream: EventStream, reason: Reason) => void,
  ) {
    this.#exchange = exchange;
    this.#written = written;
    this.#onClosed = onClosed;
    const { response } = exchange;
    response.socket?.setKeepAlive(true, probe_ms);
    this.#out = response.socket ?? response;
    this.#out.on('drain', () => {
      this.#blocked_since_ms = null;
      this.#feed?.resume();
    });
    response.once('close', () => this.#close('client'));
    // Whoever leaves in the middle of a message is gone, and `close` follows.
    response.on('error', () => response.destroy());
  }

  begin(begin: BeginFeed): void {
    this.#send(`retry: ${jittered(usual_retry_ms)}\n\n`);
    const feed = begin(this);
    this.#feed = feed;
    // It may have ended while it began.
    if (this.#reason !== null) feed.close();
  }

  write(messages: Buffer): boolean {
    if (this.#reason !== null) return true;
    return this.#send(messages);
  }

  end(reason: Reason = 'feed', retry_ms = usual_retry_ms): void {
    if (this.#reason !== null) return;
    this.#send(`retry: ${jittered(retry_ms)}\n\n`);
    const { response } = this.#exchange;
    response.end();
    this.#close(reason);
    setTimeout(() => response.destroy(), goodbye_ms).unref();
  }

  sweep(now_ms: number): void {
    if (this.#blocked_since_ms !== null) {
      if (now_ms - this.#blocked_since_ms < patience_ms) return;
      // What it has not taken until now would not go out in time either.
      this.#exchange.response.destroy();
      this.#close('slow');
      return;
    }
    if (now_ms - this.#written_ms < this.#heartbeat_ms) return;
    const position = this.#feed?.position ?? null;
    this.#send(position === null ? ':\n\n' : `:\nid: ${position}\n\n`);
  }

  #send(messages: Buffer | string): boolean {
    // It has left, and `close` follows.
    if (!this.#out.writable) return true;
    this.#written_ms = performance.now();
    this.#written.bytes += messages.length;
    const takes_more = this.#out.write(messages);
    if (!takes_more) this.#blocked_since_ms ??= this.#written_ms;
    return takes_more;
  }

  #close(reason: Reason): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#feed?.close();
    this.#onClosed(this, reason);
  }
}

function jittered({ least, spread }: { least: number; spread: number }): number {
  return Math.round(least + Math.random() * spread);
}

/** Errors: `invalid_request`. */
function lastEventId(exchange: Exchange): number | null {
  const given = exchange.request.headers['last-event-id'];
  if (given === undefined || given === '') return null;
  if (typeof given === 'string' && /^(0|[1-9][0-9]{0,14})$/.test(given)) return Number(given);
  const detail = 'not a position: it is the `id` of the last message that was received';
  throw new Problem('invalid_request', `#/header/Last-Event-ID: ${detail}`, {
    errors: [{ pointer: '#/header/Last-Event-ID', code: 'invalid_value', detail }],
  });
}
