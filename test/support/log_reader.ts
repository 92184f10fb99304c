// A client of the stream of events on a raw socket that is cut off and comes back, and looks at nothing but positions: millions of
// events pass it by. It says what it missed, what came twice and what came out of order.
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { waitFor } from './wait.ts';

const newline = 0x0a;
const data_mark = Buffer.from('\ndata: ');
const head_end = Buffer.from('\r\n\r\n');
const message_end = Buffer.from('\n\n');
const reset_mark = Buffer.from('\nevent: reset');
/** between two attempts */
const again_ms = 10;

export interface LogReaderOptions {
  /** of the process that it reads from, asked at each attempt */
  url: () => string;
  api_key: string;
  /** begins after this position */
  after?: number;
  /** Takes nothing until `resume`. */
  is_paused?: boolean;
  /** Called when bytes have come; the socket may be cut then. */
  onBytes?: (reader: LogReader) => void;
}

export class LogReader {
  readonly #options: LogReaderOptions;
  #socket: Socket | null = null;
  #rest: Buffer = Buffer.alloc(0);
  #has_head = false;
  #is_over = false;
  #is_paused: boolean;
  /** the last that was seen */
  position: number;
  events = 0;
  connections = 0;
  cuts = 0;
  bytes = 0;
  /** when the first event of this connection came, by performance.now() */
  first_heard_ms: number | null = null;
  /** each a sentence; empty when all is well */
  readonly problems: string[] = [];

  constructor(options: LogReaderOptions) {
    this.#options = options;
    this.position = options.after ?? 0;
    this.#is_paused = options.is_paused ?? false;
    // Also of a test that fails, or it would come back for ever.
    onTestFinished(() => this.close());
    this.#connect();
  }

  async reached(position: number, timeout_ms = 30_000): Promise<void> {
    await waitFor(
      `the reader has come to ${position}`,
      () => {
        if (this.problems.length > 0) throw new Error(this.problems.join('; '));
        return this.position >= position;
      },
      { timeout_ms, interval_ms: 20 },
    ).catch((error: unknown) => {
      throw new Error(
        `${String(error)}; it stands at ${this.position} after ${this.connections} connections`,
      );
    });
  }

  /** Loses the connection, with whatever is on its way. */
  cut(): void {
    if (this.#socket === null) return;
    this.cuts += 1;
    this.#socket.destroy();
  }

  resume(): void {
    this.#is_paused = false;
    this.#socket?.resume();
  }

  close(): void {
    this.#is_over = true;
    this.#socket?.destroy();
  }

  #connect(): void {
    if (this.#is_over) return;
    const { hostname, port } = new URL(this.#options.url());
    const socket = connect(Number(port), hostname);
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    this.#has_head = false;
    this.first_heard_ms = null;
    socket.on('connect', () => {
      const lines = [
        'GET /v1/events/stream HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${this.#options.api_key}`,
        `Last-Event-ID: ${this.position}`,
      ];
      socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    });
    socket.on('data', (chunk: Buffer) => {
      if (socket.destroyed) return;
      this.bytes += chunk.length;
      this.#take(this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]));
      this.#options.onBytes?.(this);
    });
    if (this.#is_paused) socket.pause();
    // `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#socket = null;
      if (!this.#is_over) setTimeout(() => this.#connect(), again_ms);
    });
  }

  #take(text: Buffer): void {
    let at = 0;
    if (!this.#has_head) {
      const end = text.indexOf(head_end);
      if (end !== -1) {
        this.#has_head = true;
        if (text.toString('latin1', 9, 12) === '200') this.connections += 1;
        at = end + head_end.length;
      }
    }
    while (this.#has_head && at < text.length) {
      const end = text.indexOf(message_end, at);
      if (end === -1) break;
      this.#message(text.subarray(at, end));
      at = end + message_end.length;
    }
    this.#rest = Buffer.from(text.subarray(at));
  }

  #message(message: Buffer): void {
    if (message.indexOf(reset_mark) !== -1) this.problems.push(`a reset after ${this.position}`);
    if (message.indexOf(data_mark) === -1) return;
    const id = Number(message.toString('latin1', 'id: '.length, message.indexOf(newline)));
    if (id !== this.position + 1) this.problems.push(`${id} follows ${this.position}`);
    this.position = id;
    this.events += 1;
    this.first_heard_ms ??= performance.now();
  }
}
