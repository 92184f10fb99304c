// What Postgres says about a query without running it: the names of its columns, and whether its role may do it.
import type pg from 'pg';
import { z } from 'zod';

const FieldsSchema = z.object({ fields: z.array(z.object({ name: z.string() })) });

/** The Describe message of the protocol, which pg sends for cursors and prepared statements but does not offer by itself. */
class Describe implements pg.Submittable {
  columns: string[] = [];
  readonly done: Promise<void>;
  readonly #name: string;
  readonly #text: string;
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(name: string, text: string) {
    this.#name = name;
    this.#text = text;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: pg.Connection): void {
    connection.parse({ name: this.#name, text: this.#text, types: [] }, true);
    connection.describe({ type: 'S', name: this.#name }, true);
    connection.sync();
  }

  handleRowDescription(message: unknown): void {
    this.columns = FieldsSchema.parse(message).fields.map(({ name }) => name);
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve();
  }
}

const ParametersSchema = z.object({ types: z.array(z.string()) });

export interface Described {
  columns: string[];
  /** the types of its parameters, as Postgres infers them */
  parameters: string[];
}

let described = 0;

export async function describeQuery(client: pg.Client, text: string): Promise<Described> {
  described += 1;
  const name = `described_${described}`;
  const describe = client.query(new Describe(name, text));
  await describe.done;
  const { rows } = await client.query(
    'select parameter_types::text[] as types from pg_prepared_statements where name = $1',
    [name],
  );
  return { columns: describe.columns, parameters: ParametersSchema.parse(rows[0]).types };
}

/** Throws what Postgres would throw for want of rights: planning a query checks them, preparing it does not. */
export async function explainQuery(client: pg.Client, text: string): Promise<void> {
  await client.query(`explain (generic_plan) ${text}`);
}
