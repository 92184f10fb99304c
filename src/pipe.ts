// One connection on which a statement is sent while those before it are still at work. Postgres does them in the order in which they were
// sent, each a transaction by itself, and begins the next one without waiting for us to read the answer of the one before.
//
// A large statement goes out piece by piece, as Postgres takes it, and only while this process does nothing else. So an answer is passed on
// once what was sent behind it is out: whoever waits for the answer has work to do then, and so has Postgres.
import pg from 'pg';

/** A connection that is held as long as statements are on their way; the pool has it meanwhile to itself, and closes it when it idles. */
interface Line {
  client: Promise<pg.PoolClient>;
  in_flight: number;
}

export class Pipe {
  /** of one connection, which is opened when it is first used */
  readonly pool: pg.Pool;
  #line: Line | null = null;

  constructor(connection: pg.PoolConfig) {
    this.pool = new pg.Pool({ ...connection, max: 1, pipeline: true });
  }

  /** The rows that answer it. Empties the array of the statement's values then. */
  async query(statement: pg.QueryConfig<unknown[]>): Promise<unknown[]> {
    this.#line ??= { client: this.pool.connect(), in_flight: 0 };
    const line = this.#line;
    line.in_flight += 1;
    try {
      const client = await line.client;
      const result = await client.query<object>(statement);
      const { rows } = result;
      result.rows = [];
      return rows;
    } catch (error) {
      // What comes next is not sent behind a connection that may be broken.
      const is_refused = error instanceof pg.DatabaseError && error.severity === 'ERROR';
      if (!is_refused) this.#leave(line);
      throw error;
    } finally {
      // Where statements follow each other without a pause, their values and rows were promoted as garbage after each major collection, more than a
      // kilobyte for each posting, until the next pause: V8 keeps young what old garbage refers to. Let go of, they are collected young
      // (--trace-gc-nvp, `promoted`).
      statement.values?.fill(null);
      await line.client.then(sent, () => undefined);
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

/** Resolves when everything is out that is to go out on a connection, or never will be. */
async function sent({ connection: { stream } }: pg.PoolClient): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed || stream.writableEnded) return;
  // Nothing, written last: it is done with when all before it is. `drain` only comes after a write that was told to wait.
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
}
