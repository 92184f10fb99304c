// What posting needs to know of accounts, kept in the process. It may be out of date: it says the position up to which changes of
// accounts have been seen, and ledger.post_transactions refuses a batch that was prepared on an older one.
import { z } from 'zod';
import { type Database, queries } from '../../db.ts';
import { encodeId, maybeDecodeId } from '../../id.ts';
import { AccountStatusSchema, AccountTypeSchema, isCode } from './account_schema.ts';
import { normalSide } from './accounts.ts';

const sql = queries(import.meta.url, 'account_cache_find', 'account_cache_first', 'account_cache_changes');

/** An account as posting needs it. Never changes: a changed account is another object. */
export interface ResolvedAccount {
  /** uuid */
  id: string;
  /** TypeID */
  account_id: string;
  code: string;
  currency: string;
  scale: number;
  debit_normal: boolean;
  status: 'open' | 'closed';
  /** minor units in the normal direction */
  available_min: bigint | null;
  posted_max: bigint | null;
  /** JSON text of an entry before its direction … */
  json_head: string;
  /** … and after its amount */
  json_tail: string;
}

interface TenantAccounts {
  position: number;
  /** by id and by code: two keys per account. What is used moves from the older generation to the younger. */
  young: Map<string, ResolvedAccount>;
  old: Map<string, ResolvedAccount>;
  /** accounts with limits that were read at first sight, and that nobody has taken yet */
  limited: ResolvedAccount[];
}

interface Batch {
  references: Set<string>;
  loaded: Promise<void>;
}

/** About 500 bytes each, so 100 MB; what is beyond is read again when it is needed. */
const default_max_accounts = 200_000;
/** So many accounts of a tenant are read at first sight, instead of one by one as they turn up … */
const max_first_accounts = 1_000;
/** … but no more than this part of the cache, and only while half of it is free: many tenants at once must not push each other out. */
const first_accounts_part = 0.1;
/** After more changes than this it is cheaper to forget the tenant. */
const max_changes = 10_000;

const RowSchema = z.object({
  seen_position: z.number(),
  id: z.string().nullable(),
  code: z.string(),
  type: AccountTypeSchema,
  currency: z.string(),
  scale: z.number(),
  status: AccountStatusSchema,
  available_min: z.string().nullable(),
  posted_max: z.string().nullable(),
});
const NoRowSchema = z.object({ seen_position: z.number(), id: z.null() });
const FoundSchema = z.union([NoRowSchema, RowSchema]);

export class AccountCache {
  readonly #database: Database;
  readonly #max_keys: number;
  /** least recently used first, as far as that matters: as long as half of the room is free they are in the order in which they came */
  readonly #tenants = new Map<string, TenantAccounts>();
  #is_roomy = true;
  /** per tenant, the query under way and the one that collects references behind it */
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #waiting = new Map<string, Batch>();
  readonly #refreshing = new Map<string, Promise<void>>();

  constructor(database: Database, max_accounts = default_max_accounts) {
    this.#database = database;
    this.#max_keys = 2 * max_accounts;
  }

  /**
   * Looks up those of the accounts named that are not known here, so that `resolve` answers for all of them: by id (`acc_…`) or code.
   * What it does not know then does not exist. To be used at once, without waiting in between.
   */
  async load(tenant_id: string, references: Iterable<string>): Promise<void> {
    const known: string[] = [];
    let missing: string[] = [];
    for (const reference of references) {
      if (this.resolve(tenant_id, reference) === undefined) missing.push(reference);
      else known.push(reference);
    }
    this.#touch(tenant_id);
    while (missing.length > 0) {
      await this.#join(tenant_id, missing);
      // Meanwhile others may have needed the room of what was known: that is there, and must not seem to be missing.
      known.push(...missing.filter((reference) => this.resolve(tenant_id, reference) !== undefined));
      missing = known.filter((reference) => this.resolve(tenant_id, reference) === undefined);
    }
  }

  /** An account that has been loaded; undefined when there is none. */
  resolve(tenant_id: string, reference: string): ResolvedAccount | undefined {
    const tenant = this.#tenants.get(tenant_id);
    return tenant === undefined ? undefined : find(tenant, reference);
  }

  /** Changes of the tenant's accounts have been seen up to this position. */
  position(tenant_id: string): number {
    return this.#tenants.get(tenant_id)?.position ?? 0;
  }

  /** Some of the accounts with limits that were read at first sight, each once: their balances are worth learning before they turn up. */
  takeLimited(tenant_id: string, count: number): ResolvedAccount[] {
    return this.#tenants.get(tenant_id)?.limited.splice(0, count) ?? [];
  }

  /** Catches up with the changes that other transactions made. */
  async refresh(tenant_id: string): Promise<void> {
    const running = this.#refreshing.get(tenant_id);
    if (running !== undefined) return running;
    const refreshed = this.#refresh(tenant_id).finally(() => this.#refreshing.delete(tenant_id));
    this.#refreshing.set(tenant_id, refreshed);
    return refreshed;
  }

  /** Joins the query that is next for this tenant: one is under way at most, and one collects meanwhile. */
  #join(tenant_id: string, references: string[]): Promise<void> {
    const waiting = this.#waiting.get(tenant_id);
    if (waiting !== undefined) {
      for (const reference of references) waiting.references.add(reference);
      return waiting.loaded;
    }
    const collected = new Set(references);
    const begin = () => {
      this.#waiting.delete(tenant_id);
      return this.#load(tenant_id, collected);
    };
    const before = this.#running.get(tenant_id) ?? Promise.resolve();
    const loaded = before.then(begin);
    this.#waiting.set(tenant_id, { references: collected, loaded });
    // A failure is for those who wait for this query, not for the next one.
    const settled = loaded.then(
      () => undefined,
      () => undefined,
    );
    this.#running.set(tenant_id, settled);
    void settled.then(() => {
      if (this.#running.get(tenant_id) === settled) this.#running.delete(tenant_id);
    });
    return loaded;
  }

  async #load(tenant_id: string, references: Set<string>): Promise<void> {
    if (!this.#tenants.has(tenant_id) && this.#keys() <= this.#max_keys / 2) {
      const limit = Math.min(max_first_accounts, Math.floor((this.#max_keys / 2) * first_accounts_part));
      const first = { tenant_id, limit };
      const rows = await this.#database.call(sql.account_cache_first, first, FoundSchema);
      const kept = this.#maybeKeep(tenant_id, rows);
      if (kept !== null) this.#tenant(tenant_id, 0).limited = kept.filter(isLimited);
    }
    const ids: string[] = [];
    const codes: string[] = [];
    for (const reference of references) {
      if (this.resolve(tenant_id, reference) !== undefined) continue;
      const id = maybeDecodeId('account', reference);
      if (id !== null) ids.push(id);
      else if (isCode(reference)) codes.push(reference);
    }
    if (ids.length === 0 && codes.length === 0) return;
    for (let kept = null; kept === null; ) {
      const rows = await this.#database.call(sql.account_cache_find, { tenant_id, ids, codes }, FoundSchema);
      kept = this.#maybeKeep(tenant_id, rows);
    }
  }

  /** Null when a refresh has overtaken the query: what it read may be older than what the cache claims to have seen. */
  #maybeKeep(tenant_id: string, rows: z.infer<typeof FoundSchema>[]): ResolvedAccount[] | null {
    const tenant = this.#tenant(tenant_id, seenPosition(rows));
    if (seenPosition(rows) < tenant.position) return null;
    this.#makeRoom(tenant);
    const accounts = rows.flatMap(resolved);
    for (const account of accounts) add(tenant, account);
    return accounts;
  }

  async #refresh(tenant_id: string): Promise<void> {
    const after_position = this.position(tenant_id);
    const rows = await this.#database.call(
      sql.account_cache_changes,
      { tenant_id, after_position, limit: max_changes },
      FoundSchema,
    );
    if (rows.length >= max_changes) this.#tenants.delete(tenant_id);
    const tenant = this.#tenant(tenant_id, seenPosition(rows));
    for (const account of rows.flatMap(resolved)) {
      if (find(tenant, account.account_id) !== undefined) add(tenant, account);
    }
    tenant.position = Math.max(tenant.position, seenPosition(rows));
  }

  #tenant(tenant_id: string, position: number): TenantAccounts {
    const known = this.#tenants.get(tenant_id);
    if (known !== undefined) return known;
    const tenant = { position, young: new Map(), old: new Map(), limited: [] };
    this.#tenants.set(tenant_id, tenant);
    return tenant;
  }

  #keys(): number {
    let keys = 0;
    for (const each of this.#tenants.values()) keys += each.young.size + each.old.size;
    return keys;
  }

  /** Marks a tenant as just used. */
  #touch(tenant_id: string): void {
    if (this.#is_roomy) return;
    const tenant = this.#tenants.get(tenant_id);
    if (tenant === undefined) return;
    this.#tenants.delete(tenant_id);
    this.#tenants.set(tenant_id, tenant);
  }

  /** Forgets what was not used for long: accounts of this tenant, then other tenants. */
  #makeRoom(tenant: TenantAccounts): void {
    if (tenant.young.size >= this.#max_keys / 2) {
      tenant.old = tenant.young;
      tenant.young = new Map();
    }
    let keys = this.#keys();
    for (const [id, each] of this.#tenants) {
      if (keys <= this.#max_keys) break;
      if (each === tenant) continue;
      keys -= each.young.size + each.old.size;
      this.#tenants.delete(id);
    }
    this.#is_roomy = keys <= this.#max_keys / 2;
  }
}

function add(tenant: TenantAccounts, account: ResolvedAccount): void {
  tenant.young.set(account.account_id, account);
  tenant.young.set(account.code, account);
  tenant.old.delete(account.account_id);
  tenant.old.delete(account.code);
}

function find(tenant: TenantAccounts, reference: string): ResolvedAccount | undefined {
  const young = tenant.young.get(reference);
  if (young !== undefined) return young;
  const old = tenant.old.get(reference);
  if (old === undefined) return undefined;
  add(tenant, old);
  return old;
}

export function isLimited({ available_min, posted_max }: ResolvedAccount): boolean {
  return available_min !== null || posted_max !== null;
}

function seenPosition(rows: { seen_position: number }[]): number {
  const [row] = rows;
  if (row === undefined) throw new Error('the position of account versions is missing');
  return row.seen_position;
}

function resolved(row: z.infer<typeof FoundSchema>): ResolvedAccount[] {
  if (row.id === null) return [];
  const account_id = encodeId('account', row.id);
  return [
    {
      id: row.id,
      account_id,
      code: row.code,
      currency: row.currency,
      scale: row.scale,
      debit_normal: normalSide(row.type) === 'debit',
      status: row.status,
      available_min: row.available_min === null ? null : BigInt(row.available_min),
      posted_max: row.posted_max === null ? null : BigInt(row.posted_max),
      // One string each, and not pieces that whoever writes an entry has to visit.
      json_head: ['{"account_id":"', account_id, '","account_code":"', row.code, '",'].join(''),
      json_tail: ['"currency":"', row.currency, '","scale":', row.scale, '}'].join(''),
    },
  ];
}
