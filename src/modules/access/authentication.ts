// From the text of an API key to who holds it. Each request passes here, so a key is read from the database once in a few seconds
// and answered from memory in between; its secret is compared every time.
//
// What makes a cached answer safe:
// - A revocation in this process calls forgetKey before it commits. For the next while the key is read from the database by each
//   request, so no answer from before the commit can be kept, whether the transaction commits or not.
// - A change to tenants (suspension) appends to the platform's log; that empties the cache after the commit, and lookups that
//   began before it are not kept.
// - Another process is told of either (`tellOfKeys`) and forgets all keys, as after a change to tenants. Word may be lost; then it learns of it
//   by `fresh_ms` at the latest.
import { z } from 'zod';
import { type Database, platform_tenant_id, queries } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { Permission } from '../../route.ts';
import { type Mode, ModeSchema } from '../tenants/index.ts';
import { keyLetters, maybeKeyId, parseApiKey, secretMatches } from './api_key.ts';
import { checkOf } from './roles.ts';
import { type RoleName, RoleNameSchema } from './schema.ts';

const sql = queries(import.meta.url, 'api_key_find');

/** how long another process's revocation may go unnoticed */
const fresh_ms = 5_000;
/** longer than any transaction may last (db.ts: statements 30 s, idle 30 s) */
const forgotten_ms = 120_000;
/** keys kept in memory; some 400 bytes each */
const kept_keys = 20_000;

/** The holder of a key: what a Principal has before it has a request. */
export interface Holder {
  /** uuid */
  tenant_id: string;
  /** uuid of the key */
  actor_id: string;
  role: RoleName;
  mode: Mode;
  can: (permission: Permission) => boolean;
}

const RowSchema = z.object({
  tenant_id: z.string(),
  role: RoleNameSchema,
  secret_hash: z.instanceof(Buffer),
  expires_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  tenant_mode: ModeSchema,
  tenant_status: z.enum(['active', 'suspended']),
});

interface KnownKey {
  holder: Holder;
  secret_hash: Buffer;
  /** epoch; null when it never expires */
  expires_ms: number | null;
  revoked: boolean;
  suspended: boolean;
  read_ms: number;
}

/** Keys by their letters in an API key, so that a known one costs no decoding. */
class KeyCache {
  readonly #database: Database;
  /** oldest first */
  readonly #known = new Map<string, KnownKey>();
  /** lookups under way, shared by the requests that wait for the same key */
  readonly #asked = new Map<string, Promise<KnownKey | null>>();
  /** when a key may be kept again, epoch ms; the soonest first */
  readonly #forgotten = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
    database.onAppend((tenant_id) => {
      if (tenant_id === platform_tenant_id) this.clear();
    });
  }

  maybeKept(letters: string, now_ms: number): KnownKey | null {
    const kept = this.#known.get(letters);
    if (kept === undefined) return null;
    // A clock that was set back makes nothing fresh.
    const age_ms = now_ms - kept.read_ms;
    return age_ms < 0 || age_ms > fresh_ms ? null : kept;
  }

  /** As the database has it at this moment. */
  async maybeNow(key_id: string, now_ms: number): Promise<KnownKey | null> {
    return this.#ask(keyLetters(key_id), now_ms);
  }

  async maybeRead(letters: string, now_ms: number): Promise<KnownKey | null> {
    if (this.#isForgotten(letters, now_ms)) return this.#ask(letters, now_ms);
    const asked = this.#asked.get(letters);
    if (asked !== undefined) return asked;
    const asking = this.#ask(letters, now_ms);
    this.#asked.set(letters, asking);
    try {
      const found = await asking;
      // Whoever forgot the key, or everything, since then has also dropped this lookup.
      if (found !== null && this.#asked.get(letters) === asking) this.#keep(letters, found);
      return found;
    } finally {
      if (this.#asked.get(letters) === asking) this.#asked.delete(letters);
    }
  }

  forget(letters: string, now_ms: number): void {
    for (const [other, until_ms] of this.#forgotten) {
      if (until_ms > now_ms) break;
      this.#forgotten.delete(other);
    }
    this.#forgotten.delete(letters);
    this.#forgotten.set(letters, now_ms + forgotten_ms);
    this.#known.delete(letters);
    this.#asked.delete(letters);
  }

  clear(): void {
    this.#known.clear();
    this.#asked.clear();
  }

  #isForgotten(letters: string, now_ms: number): boolean {
    const until_ms = this.#forgotten.get(letters);
    return until_ms !== undefined && until_ms > now_ms;
  }

  #keep(letters: string, found: KnownKey): void {
    this.#known.delete(letters);
    this.#known.set(letters, found);
    if (this.#known.size <= kept_keys) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }

  async #ask(letters: string, now_ms: number): Promise<KnownKey | null> {
    const key_id = maybeKeyId(letters);
    if (key_id === null) return null;
    const [row] = await this.#database.call(sql.api_key_find, { key_id }, RowSchema);
    if (row === undefined) return null;
    return {
      holder: Object.freeze({
        tenant_id: row.tenant_id,
        actor_id: key_id,
        role: row.role,
        mode: row.tenant_mode,
        can: checkOf(row.role),
      }),
      secret_hash: row.secret_hash,
      expires_ms: row.expires_at === null ? null : Date.parse(row.expires_at),
      revoked: row.revoked_at !== null,
      suspended: row.tenant_status === 'suspended',
      read_ms: now_ms,
    };
  }
}

const caches = new WeakMap<Database, KeyCache>();

function cacheOf(database: Database): KeyCache {
  const known = caches.get(database);
  if (known !== undefined) return known;
  const cache = new KeyCache(database);
  caches.set(database, cache);
  return cache;
}

/** compared with when there is no such key, so that a miss costs what a hit costs */
const nobody = Buffer.alloc(32);

/**
 * Who holds the key that is presented (without `Bearer`).
 * Errors: `unauthenticated`, the same whether it is missing, malformed, unknown, wrong, expired or revoked; `tenant_suspended`.
 */
export async function authenticate(
  database: Database,
  presented: string | undefined,
  now_ms = Date.now(),
): Promise<Holder> {
  const parts = presented === undefined ? null : parseApiKey(presented);
  if (parts === null) throw unauthenticated();
  const cache = cacheOf(database);
  const key = cache.maybeKept(parts.id_letters, now_ms) ?? (await cache.maybeRead(parts.id_letters, now_ms));
  const matches = secretMatches(parts.secret, key?.secret_hash ?? nobody);
  if (key === null || !matches || key.holder.mode !== parts.mode) throw unauthenticated();
  checkOpen(key, now_ms);
  return key.holder;
}

/**
 * Who holds a key whose secret was presented before, and until when, as the database has it at this moment: for what lasts longer than a
 * request. Errors: `unauthenticated`, `tenant_suspended`.
 */
export async function checkKey(
  database: Database,
  key_id: string,
  now_ms = Date.now(),
): Promise<{ holder: Holder; expires_ms: number | null }> {
  const key = await cacheOf(database).maybeNow(key_id, now_ms);
  if (key === null) throw unauthenticated();
  checkOpen(key, now_ms);
  return { holder: key.holder, expires_ms: key.expires_ms };
}

function checkOpen(key: KnownKey, now_ms: number): void {
  if (key.revoked || (key.expires_ms !== null && key.expires_ms <= now_ms)) throw unauthenticated();
  if (key.suspended) throw new Problem('tenant_suspended', 'The tenant is suspended; ask the platform');
}

/** To be called before a key's revocation or expiry commits, and when another process says that it changed one. */
export function forgetKey(database: Database, key_id: string, now_ms = Date.now()): void {
  cacheOf(database).forget(keyLetters(key_id), now_ms);
}

/**
 * To be called when a key's revocation or expiry has committed: the other processes are told as if the platform's log had grown, at a position
 * that is none, and forget their keys within some hundredths of a second.
 */
export function tellOfKeys(database: Database): void {
  database.appended(platform_tenant_id, 0);
}

export function unauthenticated(): Problem {
  return new Problem('unauthenticated', 'Send a valid key as Authorization: Bearer lk_…', {
    headers: { 'WWW-Authenticate': 'Bearer' },
  });
}
