// The cable between a server and its Postgres: a TCP proxy that can be cut in mid-word, or swallow what Postgres answers.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

/** Where a line is cut: in the middle of what the server asks, or after Postgres has done it and before the server hears. */
export type Cut = 'question' | 'answer';

interface Line {
  near: Socket;
  far: Socket;
}

export class Cable {
  readonly port: number;
  /** lines cut so far */
  cuts = 0;
  readonly #server: Server;
  readonly #lines: Set<Line>;
  #swallowing = false;
  #next: { cut: Cut; after: number } | null = null;

  /** Lays a cable to the cluster whose socket is in `directory`. */
  static async lay(directory: string): Promise<Cable> {
    const lines = new Set<Line>();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the cable has no port');
    const cable = new Cable(server, address.port, lines);
    server.on('connection', (near) => cable.#join(near, connect(join(directory, '.s.PGSQL.5432'))));
    return cable;
  }

  private constructor(server: Server, port: number, lines: Set<Line>) {
    this.#server = server;
    this.port = port;
    this.#lines = lines;
  }

  /** The same database of the same cluster, through this cable. */
  url(database_url: string): string {
    const url = new URL(database_url);
    url.searchParams.delete('host');
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.toString();
  }

  /** Cuts the line that carries the n-th message from now, there and then, and with it all others. */
  cutAt(cut: Cut, after: number): void {
    this.#next = { cut, after };
  }

  /** From now on Postgres hears and is not heard. */
  swallowAnswers(): void {
    this.#swallowing = true;
  }

  async pull(): Promise<void> {
    this.#cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket, far: Socket): void {
    const line = { near, far };
    this.#lines.add(line);
    near.on('data', (bytes) => {
      if (this.#isDue('question')) {
        far.write(bytes.subarray(0, bytes.length / 2));
        this.#cutAll();
      } else {
        far.write(bytes);
      }
    });
    far.on('data', (bytes) => {
      if (this.#isDue('answer')) this.#cutAll();
      else if (!this.#swallowing) near.write(bytes);
    });
    const end = () => {
      near.destroy();
      far.destroy();
      this.#lines.delete(line);
    };
    // What breaks at one end breaks at the other.
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  }

  #isDue(cut: Cut): boolean {
    if (this.#next === null || this.#next.cut !== cut) return false;
    this.#next.after -= 1;
    if (this.#next.after > 0) return false;
    this.#next = null;
    return true;
  }

  #cutAll(): void {
    this.cuts += this.#lines.size;
    for (const { near, far } of this.#lines) {
      near.resetAndDestroy();
      // What was written is still sent: Postgres may have read half a message.
      far.end();
    }
  }
}
