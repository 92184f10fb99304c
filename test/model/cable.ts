// The cable between the server and its Postgres: a TCP proxy that can be cut in mid-word, or made to swallow what Postgres answers.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

interface Line {
  near: Socket;
  far: Socket;
}

export class Cable {
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  #swallowing = false;
  port = 0;
  /** lines cut so far */
  cuts = 0;

  /** `directory` is where the cluster has its socket. */
  private constructor(directory: string) {
    this.#server = createServer((near) => {
      const far = connect(join(directory, '.s.PGSQL.5432'));
      const line = { near, far };
      this.#lines.add(line);
      near.on('data', (bytes) => far.write(bytes));
      far.on('data', (bytes) => {
        if (!this.#swallowing) near.write(bytes);
      });
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        // What breaks at one end breaks at the other; `close` follows each error.
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          other.destroy();
          this.#lines.delete(line);
        });
      }
    });
  }

  static async lay(directory: string): Promise<Cable> {
    const cable = new Cable(directory);
    await new Promise<void>((resolve) => cable.#server.listen(0, '127.0.0.1', resolve));
    const address = cable.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the cable has no port');
    cable.port = address.port;
    return cable;
  }

  /** The same database of the same cluster, through this cable. */
  url(database_url: string): string {
    const url = new URL(database_url);
    url.searchParams.delete('host');
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.toString();
  }

  /** Cuts every line at once, wherever each is in its conversation. */
  cut(): void {
    this.cuts += this.#lines.size;
    for (const { near, far } of this.#lines) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** From now on Postgres hears and is not heard. */
  swallowAnswers(): void {
    this.#swallowing = true;
  }

  async pull(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
