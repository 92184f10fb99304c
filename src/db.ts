// The only door to Postgres. A Tx is a transaction that already carries tenant and actor; nobody else can make one.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { z } from 'zod';
import { encodeId, newUuid } from './id.ts';
import type { Logger } from './log.ts';
import { Pipe } from './pipe.ts';
import { Places } from './places.ts';
import { translate } from './postgres_errors.ts';
import { types } from './postgres_types.ts';

/** Who acts, for which tenant, in which request. Every row that a transaction writes can be traced to these three. */
export interface Actor {
  /** uuid */
  tenant_id: string;
  /** uuid of the API key, or of the system actor */
  actor_id: string;
  request_id: string;
}

/** The tenant whose log records changes to the platform itself: tenants and platform keys. */
export const platform_tenant_id = '00000000-0000-7000-8000-000000000000';
/** The actor of what Lattice does by itself, such as letting a hold expire. */
export const system_actor_id = '00000000-0000-7000-8000-000000000001';

/** What the process does by itself for a tenant, under a request id of its own. */
export function systemActor(tenant_id: string): Actor {
  return { tenant_id, actor_id: system_actor_id, request_id: encodeId('request', newUuid()) };
}

/** A query of a `.sql` file beside the code, with its named parameters made positional. */
export interface Query {
  name: string;
  text: string;
  parameters: string[];
}

/**
 * The queries of the `.sql` file beside a module file: `queries(import.meta.url, 'account_insert', …)`.
 * Blocks begin with `-- name: account_insert`; parameters are written `$account_id`.
 * A block that is not asked for, or a name without a block, is an error at load.
 */
export function queries<const Name extends string>(
  module_url: string,
  ...names: Name[]
): Record<Name, Query> {
  const path = fileURLToPath(module_url).replace(/\.ts$/, '.sql');
  const blocks = parseQueries(readFileSync(path, 'utf8'));
  const unknown = [...blocks.keys()].filter((name) => !names.some((asked) => asked === name));
  if (unknown.length > 0) throw new Error(`${basename(path)}: nobody uses ${unknown.join(', ')}`);
  const found = names.map((name) => {
    const query = blocks.get(name);
    if (query === undefined) throw new Error(`${basename(path)}: there is no query ${name}`);
    return [name, query] as const;
  });
  return Object.fromEntries(found) as Record<Name, Query>;
}

/** name → query, of the text of a `.sql` file */
export function parseQueries(text: string): Map<string, Query> {
  const found = new Map<string, Query>();
  for (const block of text.split(/^-- name: /m).slice(1)) {
    const end = block.indexOf('\n');
    const name = block.slice(0, end).trim();
    const parameters: string[] = [];
    const body = block
      .slice(end + 1)
      .trim()
      .replace(/(?<![$\w])\$([a-z][a-z0-9_]*)\b/g, (_, parameter: string) => {
        if (!parameters.includes(parameter)) parameters.push(parameter);
        return `$${parameters.indexOf(parameter) + 1}`;
      })
      .replace(/;$/, '');
    if (found.has(name)) throw new Error(`two queries are called ${name}`);
    found.set(name, { name, text: body, parameters });
  }
  return found;
}

export interface DatabaseOptions {
  connection_string: string;
  /** connections in the pool */
  size: number;
  application_name: string;
  logger: Logger;
}

/** `position` is the last one that was appended; `by` says whether this process did it. */
type AppendListener = (tenant_id: string, position: number, by: 'us' | 'others') => void;

/** connections on which calls are sent behind one another */
export const pipe_count = 4;

/** A pool of connections as one database role, with the timeouts that keep one request from hurting the others. */
export class Database {
  readonly pool: pg.Pool;
  readonly #pipes: Pipe[];
  readonly connection_string: string;
  readonly #append_listeners = new Set<AppendListener>();
  /** A quarter of the pool is for reads that take long: the rest is left to those that do not. */
  readonly #long_reads: Places;
  /** connections at most, without those of the pipes */
  readonly size: number;

  constructor(options: DatabaseOptions) {
    this.connection_string = options.connection_string;
    this.size = options.size;
    this.#long_reads = new Places(Math.max(2, Math.floor(options.size / 4)), options.size);
    const connection: pg.PoolConfig = {
      connectionString: options.connection_string,
      application_name: options.application_name,
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: 60_000,
      statement_timeout: 30_000,
      lock_timeout: 10_000,
      idle_in_transaction_session_timeout: 30_000,
      // Whatever a role was given to search first, built-in functions and operators are Postgres' own.
      options: '-c timezone=UTC -c datestyle=ISO -c search_path=pg_catalog',
      types,
    };
    this.pool = new pg.Pool({ ...connection, max: options.size });
    this.#pipes = Array.from({ length: pipe_count }, () => new Pipe(connection));
    for (const pool of this.#pools()) {
      // A connection can break between two statements of a transaction: the next one says so, and this only keeps the process alive.
      pool.on('connect', (client) => client.on('error', () => {}));
      // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
      pool.on('error', (error) => {
        // The pool answers that it has ended while its last connections still say goodbye.
        if (!pool.ending) options.logger.warn({ error: error.message }, 'idle connection lost');
      });
    }
  }

  /** One read-write transaction for this actor. Commits when `work` returns, rolls back when it throws. */
  async transaction<Result>(actor: Actor, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#run('begin', actor, work);
  }

  /** One read-only transaction for this actor, on one snapshot. */
  async read<Result>(actor: Actor, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#run('begin isolation level repeatable read read only', actor, work);
  }

  /** The same for what reads every entry: a few at a time, and the others wait without a connection. Errors: `unavailable`. */
  async readLong<Result>(actor: Actor, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#long_reads.hold(() => this.read(actor, work));
  }

  /** One statement that is a transaction by itself and takes its tenant as an argument: posting, balances, authentication. */
  async call<Row extends z.ZodType>(
    query: Query,
    values: Record<string, unknown>,
    row: Row,
  ): Promise<z.infer<Row>[]> {
    return this.callRows(query, values).then((rows) => rows.map((each) => row.parse(each)));
  }

  /** The same without the check of each row, for hot paths whose caller checks shape by other means. */
  async callRows(query: Query, values: Record<string, unknown>): Promise<unknown[]> {
    try {
      const result = await this.pool.query(prepared(query, values));
      return result.rows;
    } catch (error) {
      throw translate(error);
    }
  }

  /** The same with positional values, for a caller that encodes its own arguments. */
  async callWith(query: Query, values: unknown[]): Promise<unknown[]> {
    try {
      const result = await this.pool.query({ name: query.name, text: query.text, values });
      return result.rows;
    } catch (error) {
      throw translate(error);
    }
  }

  /**
   * The same on a connection of its own, behind what was sent there before: it begins when that is done, without waiting for its answer.
   * `pipe` says which of `pipe_count` connections, opened when they are first used. `values` is empty afterwards: each item null.
   */
  async callInOrder(pipe: number, query: Query, values: unknown[]): Promise<unknown[]> {
    const way = this.#pipes[pipe];
    if (way === undefined) throw new Error(`there is no pipe ${pipe}`);
    try {
      return await way.query({ name: query.name, text: query.text, values });
    } catch (error) {
      throw translate(error);
    }
  }

  /** Calls `listener` after each commit that appended to a tenant's log. A hint: word of another process may be lost. */
  onAppend(listener: AppendListener): () => void {
    this.#append_listeners.add(listener);
    return () => this.#append_listeners.delete(listener);
  }

  /** Tells the listeners; for those who append outside a Tx (the group commit), and who hear of it from elsewhere. */
  appended(tenant_id: string, position: number, by: 'us' | 'others' = 'us'): void {
    for (const listener of this.#append_listeners) listener(tenant_id, position, by);
  }

  async end(): Promise<void> {
    await Promise.all(this.#pools().map((pool) => pool.end()));
  }

  #pools(): pg.Pool[] {
    return [this.pool, ...this.#pipes.map((pipe) => pipe.pool)];
  }

  async #run<Result>(begin: string, actor: Actor, work: (tx: Tx) => Promise<Result>): Promise<Result> {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw translate(error);
    });
    let broken = false;
    try {
      await client.query(
        `${begin}; select set_config('app.tenant_id', '${uuidText(actor.tenant_id)}', true)`,
      );
      const tx = new Tx(client, actor);
      const result = await work(tx);
      const committed = await client.query('commit').catch((error: unknown) => {
        // The outcome is unknown: the commit may have reached the disk. The request's key resolves it.
        broken = true;
        throw translate(error);
      });
      // COMMIT of a failed transaction succeeds with the tag ROLLBACK.
      if (committed.command !== 'COMMIT') throw new Error('the transaction was rolled back at commit');
      if (tx.appended !== null) this.appended(actor.tenant_id, tx.appended);
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => {
        broken = true;
      });
      throw translate(error);
    } finally {
      client.release(broken);
    }
  }
}

/** A transaction of one tenant and one actor. Verbs take it first; what has no Tx cannot touch data. */
class Tx {
  readonly actor: Actor;
  /** the last position that this transaction has appended to the tenant's log (set by log.appendEvent) */
  appended: number | null = null;
  readonly #client: pg.PoolClient;

  constructor(client: pg.PoolClient, actor: Actor) {
    this.#client = client;
    this.actor = actor;
  }

  /** Exactly one row. */
  async one<Row extends z.ZodType>(
    query: Query,
    values: Record<string, unknown>,
    row: Row,
  ): Promise<z.infer<Row>> {
    const rows = await this.#rows(query, values);
    if (rows.length !== 1) throw new Error(`${query.name}: expected one row, got ${rows.length}`);
    return row.parse(rows[0]);
  }

  /** One row or null. */
  async maybe<Row extends z.ZodType>(
    query: Query,
    values: Record<string, unknown>,
    row: Row,
  ): Promise<z.infer<Row> | null> {
    const rows = await this.#rows(query, values);
    if (rows.length > 1) throw new Error(`${query.name}: expected at most one row, got ${rows.length}`);
    return rows.length === 0 ? null : row.parse(rows[0]);
  }

  /** Any number of rows. */
  async many<Row extends z.ZodType>(
    query: Query,
    values: Record<string, unknown>,
    row: Row,
  ): Promise<z.infer<Row>[]> {
    const rows = await this.#rows(query, values);
    return rows.map((each) => row.parse(each));
  }

  /** No rows wanted; answers how many were touched. */
  async run(query: Query, values: Record<string, unknown>): Promise<number> {
    const result = await this.#client.query(prepared(query, values));
    return result.rowCount ?? 0;
  }

  async #rows(query: Query, values: Record<string, unknown>): Promise<unknown[]> {
    const result = await this.#client.query(prepared(query, values));
    return result.rows;
  }
}

export type { Tx };

function prepared(query: Query, values: Record<string, unknown>): pg.QueryConfig {
  const given = Object.keys(values);
  const unused = given.filter((name) => !query.parameters.includes(name));
  if (unused.length > 0) throw new Error(`${query.name} has no parameter ${unused.join(', ')}`);
  return {
    name: query.name,
    text: query.text,
    values: query.parameters.map((name) => {
      const value = values[name];
      if (value === undefined) throw new Error(`${query.name} misses its parameter ${name}`);
      return value;
    }),
  };
}

function uuidText(uuid: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) throw new Error('not a uuid');
  return uuid;
}
