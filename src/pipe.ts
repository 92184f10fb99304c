// One connection on which a statement is sent while those before it are still at work. Postgres does them in the order in which they were
// sent, each a transaction by itself, and begins the next one without waiting for us to read the answer of the one before.
import pg from 'pg';

/** A connection that is held as long as statements are on their way; the pool has it meanwhile to itself, and closes it when it idles. */
interface Line {
  client: Promise<pg.PoolClient>;
  in_flight: number;
}

export class Pipe {
  readonly #pool: pg.Pool;
  #line: Line | null = null;

  /** `pool` has one connection, in pipeline mode. */
  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async query(statement: pg.QueryConfig): Promise<pg.QueryResult> {
    this.#line ??= { client: this.#pool.connect(), in_flight: 0 };
    const line = this.#line;
    line.in_flight += 1;
    try {
      const client = await line.client;
      return await client.query(statement);
    } catch (error) {
      // What comes next is not sent behind a connection that may be broken.
      const is_refused = error instanceof pg.DatabaseError && error.severity === 'ERROR';
      if (!is_refused) this.#leave(line);
      throw error;
    } finally {
      line.in_flight -= 1;
      if (line.in_flight === 0) {
        this.#leave(line);
        await line.client.then(
          (client) => client.release(),
          () => undefined,
        );
      }
    }
  }

  #leave(line: Line): void {
    if (this.#line === line) this.#line = null;
  }
}
