// Transactions as they are in the ledger, and what requests about them were answered.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { PageRequest } from '../../page.ts';
import { recordedBy } from '../log/index.ts';
import type { AccountCache } from './account_cache.ts';
import { metadataPairHash, referenceHash } from './draft.ts';
import {
  presentTransaction,
  renderRecorded,
  type StoredTransaction,
  StoredTransactionSchema,
  transactionState,
} from './stored_transaction.ts';
import type { TransactionFilters } from './transaction_routes.ts';
import type { Transaction } from './transaction_schema.ts';

const sql = queries(
  import.meta.url,
  'transaction_list_by_id',
  'transaction_list',
  'answer_list',
  'transaction_recorded_at_position',
  'clock_read',
);

const day_ms = 24 * 3_600 * 1_000;

/** Transactions by id (uuids), with what happened to them; ids that do not exist are absent. One statement, so one snapshot. */
export async function loadTransactions(
  database: Database,
  tenant_id: string,
  ids: string[],
): Promise<Map<string, StoredTransaction>> {
  if (ids.length === 0) return new Map();
  // A UUIDv7 begins with its milliseconds; process and database clocks agree within a day, or `lattice doctor` complains.
  const times = ids.map((id) => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16));
  const latest_ms = Date.parse('9999-01-01T00:00:00Z');
  const instant = (ms: number) => new Date(Math.min(Math.max(ms, 0), latest_ms)).toISOString();
  const rows = await database.call(
    sql.transaction_list_by_id,
    {
      tenant_id,
      ids,
      recorded_from: instant(times.reduce((least, time) => Math.min(least, time)) - day_ms),
      recorded_to: instant(times.reduce((most, time) => Math.max(most, time)) + day_ms),
    },
    StoredTransactionSchema,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

const AnswerSchema = z.object({
  key_hash: z.string(),
  request_hash: z.string(),
  status: z.number(),
  body: z.string().nullable(),
  subject_id: z.string().nullable(),
  position: z.number().nullable(),
  data: z.string().nullable(),
  effective_at: z.string().nullable(),
  recorded_at: z.string().nullable(),
});

const RecordedSchema = z.object({
  id: z.string(),
  position: z.number(),
  data: z.string(),
  effective_at: z.string(),
  recorded_at: z.string(),
});

export interface StoredAnswer {
  request_hash: string;
  status: number;
  /** JSON text, the same bytes every time */
  body: string;
}

/** key hash → what was answered; keys that were never used are absent. */
export async function loadAnswers(
  database: Database,
  tenant_id: string,
  key_hashes: string[],
): Promise<Map<string, StoredAnswer>> {
  const rows = await database.call(sql.answer_list, { tenant_id, key_hashes }, AnswerSchema);
  return new Map(
    rows.map((row) => {
      const { key_hash, request_hash, status } = row;
      const body = row.body ?? renderRecorded(RecordedSchema.parse({ ...row, id: row.subject_id }));
      return [key_hash, { request_hash, status, body }];
    }),
  );
}

/** The answer to the request that recorded a transaction, as it was sent. */
export async function renderStored(
  database: Database,
  tenant_id: string,
  stored: { position: number | null },
): Promise<string> {
  const { position } = stored;
  const [recorded] = await database.call(
    sql.transaction_recorded_at_position,
    { tenant_id, position },
    RecordedSchema,
  );
  if (recorded === undefined) throw new Error(`the event at ${position} is missing`);
  return renderRecorded(recorded);
}

/** The database's clock. */
export async function readClock(database: Database): Promise<string> {
  const [row] = await database.call(sql.clock_read, {}, z.object({ now: z.string() }));
  if (row === undefined) throw new Error('the database does not know the time');
  return row.now;
}

const ListedSchema = z.object({ id: z.string(), position: z.number() });

/** Reads of transactions, each one statement that takes its tenant as an argument. */
export class TransactionReader {
  readonly #database: Database;
  readonly #accounts: AccountCache;

  constructor(database: Database, accounts: AccountCache) {
    this.#database = database;
    this.#accounts = accounts;
  }

  /** A transaction as it is now, by uuid. */
  async maybeFind(tenant_id: string, id: string): Promise<Transaction | null> {
    const found = (await loadTransactions(this.#database, tenant_id, [id])).get(id);
    return found === undefined ? null : presentTransaction(found, transactionState(found, found.observed_at));
  }

  /** Newest first. Errors: `not_found` for an account. */
  async list(
    tenant_id: string,
    filters: TransactionFilters,
    page: PageRequest<number>,
  ): Promise<Transaction[]> {
    let account_id: string | null = null;
    if (filters.account !== undefined) {
      await this.#accounts.load(tenant_id, [filters.account]);
      const account = this.#accounts.resolve(tenant_id, filters.account);
      if (account === undefined) throw new Problem('not_found', 'There is no such account');
      account_id = account.id;
    }
    const pairs = Object.entries(filters.metadata ?? {}).map(([key, value]) => metadataPairHash(key, value));
    const listed = await this.#database.call(
      sql.transaction_list,
      {
        tenant_id,
        limit: page.row_limit,
        before_position: page.after,
        reference_hash: filters.reference === undefined ? null : referenceHash(filters.reference),
        pair_hashes: pairs.length === 0 ? null : pairs,
        account_id,
        account_prefix: filters.account_prefix ?? null,
        status: filters.status ?? null,
        effective_from: filters.effective_at?.gte ?? null,
        effective_to: filters.effective_at?.lte ?? null,
        recorded_from: filters.recorded_at?.gte ?? null,
        recorded_to: await recordedBy(this.#database, tenant_id, filters.recorded_at?.lte ?? null),
        amount_min: filters.amount?.gte ?? null,
        amount_max: filters.amount?.lte ?? null,
      },
      ListedSchema,
    );
    const found = await loadTransactions(
      this.#database,
      tenant_id,
      listed.map((row) => row.id),
    );
    return listed.flatMap(({ id }) => {
      const stored = found.get(id);
      return stored === undefined
        ? []
        : [presentTransaction(stored, transactionState(stored, stored.observed_at))];
    });
  }

  /** key hash → what was answered */
  async answers(tenant_id: string, key_hashes: string[]): Promise<Map<string, StoredAnswer>> {
    return loadAnswers(this.#database, tenant_id, key_hashes);
  }
}
