// Whether a key still opens what it opened, for as long as a stream lasts. The log tells of revocations and suspensions, a clock of expiry.
import { type Database, platform_tenant_id } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Streams } from '../log/index.ts';
import { checkKey, forgetKey } from './authentication.ts';

const expiry_interval_ms = 500;
const retry_ms = 500;

type Frames = Parameters<Parameters<Streams['tails']['onEvents']>[0]>[1];
type Tail = ReturnType<Streams['tails']['open']>;

interface Watched {
  tenant_id: string;
  /** epoch; null when it never expires */
  expires_ms: number | null;
  /** called when the key opens nothing any more */
  ends: Set<() => void>;
}

export class KeyWatch {
  readonly #database: Database;
  readonly #tails: Streams['tails'];
  readonly #logger: Logger;
  /** by the uuid of the key */
  readonly #watched = new Map<string, Watched>();
  /** the logs that tell, and how many streams hold on to each */
  readonly #held = new Map<string, { tail: Promise<Tail>; count: number }>();
  #timer: NodeJS.Timeout | null = null;
  #stopListening: () => void = () => undefined;

  constructor(database: Database, { tails }: Streams, logger: Logger) {
    this.#database = database;
    this.#tails = tails;
    this.#logger = logger;
  }

  start(): void {
    this.#stopListening = this.#tails.onEvents((tenant_id, frames) => this.#hear(tenant_id, frames));
    this.#timer = setInterval(() => this.#expire(), expiry_interval_ms);
  }

  stop(): void {
    this.#stopListening();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /**
   * Calls `onEnd` once when the key ceases to open anything. Answers how to stop watching. What happens to the key after it was looked at
   * is seen, because the logs are followed from before.
   * Errors: `unauthenticated`, `tenant_suspended`.
   */
  async watch(holder: { tenant_id: string; actor_id: string }, onEnd: () => void): Promise<() => void> {
    const { tenant_id, actor_id } = holder;
    const release = await this.#hold([tenant_id, platform_tenant_id]);
    const watched = this.#watched.get(actor_id) ?? { tenant_id, expires_ms: null, ends: new Set() };
    this.#watched.set(actor_id, watched);
    watched.ends.add(onEnd);
    const stop = () => {
      watched.ends.delete(onEnd);
      if (watched.ends.size === 0 && this.#watched.get(actor_id) === watched) this.#watched.delete(actor_id);
      release();
    };
    try {
      watched.expires_ms = (await checkKey(this.#database, actor_id)).expires_ms;
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /** Keeps the tails of these tenants open. */
  async #hold(tenant_ids: string[]): Promise<() => void> {
    const releases: (() => void)[] = [];
    for (const tenant_id of tenant_ids) {
      const held = this.#held.get(tenant_id) ?? { tail: this.#open(tenant_id), count: 0 };
      this.#held.set(tenant_id, held);
      held.count += 1;
      releases.push(() => {
        held.count -= 1;
        if (held.count > 0) return;
        this.#held.delete(tenant_id);
        void held.tail.then((tail) => tail.detach());
      });
      try {
        await held.tail;
      } catch (error) {
        this.#held.delete(tenant_id);
        for (const release of releases.slice(0, -1)) release();
        throw error;
      }
    }
    return () => {
      for (const release of releases) release();
    };
  }

  async #open(tenant_id: string): Promise<Tail> {
    const tail = this.#tails.open(tenant_id, await this.#tails.findBounds(tenant_id));
    tail.attach();
    return tail;
  }

  #hear(tenant_id: string, frames: Frames): void {
    for (const { type, subject_id } of frames) {
      if (type === 'access.key_revoked' || type === 'access.key_rotated') {
        forgetKey(this.#database, subject_id);
        if (this.#watched.has(subject_id)) void this.#recheck(subject_id);
      } else if (type === 'tenants.tenant_suspended' && tenant_id === platform_tenant_id) {
        for (const [key_id, watched] of this.#watched)
          if (watched.tenant_id === subject_id) this.#end(key_id);
      }
    }
  }

  async #recheck(key_id: string): Promise<void> {
    const watched = this.#watched.get(key_id);
    if (watched === undefined) return;
    try {
      watched.expires_ms = (await checkKey(this.#database, key_id)).expires_ms;
    } catch (error) {
      if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
        this.#end(key_id);
        return;
      }
      // Until the database can be asked the stream goes on.
      this.#logger.warn(
        { key_id, error: { message: String(error) } },
        'the key of a stream could not be checked',
      );
      setTimeout(() => void this.#recheck(key_id), retry_ms).unref();
    }
  }

  #expire(): void {
    const now_ms = Date.now();
    for (const [key_id, { expires_ms }] of this.#watched) {
      if (expires_ms !== null && expires_ms <= now_ms) this.#end(key_id);
    }
  }

  #end(key_id: string): void {
    const watched = this.#watched.get(key_id);
    this.#watched.delete(key_id);
    for (const onEnd of watched?.ends ?? []) onEnd();
  }
}
