// A consumer follows the log: a name with a durable position in each tenant's log. What it does in the database and how far it has come
// commit together, so each effect happens once. The runner of modules/log calls it; modules/log/consumers.ts makes one of a statement
// or of a handler.

/** What became of one call. */
export interface Applied {
  /**
   * `slice`: positions were applied · `caught_up`: there was nothing to apply · `busy`: another process is at it ·
   * `resting`: it has failed, and rests for `retry_ms` · `parked`: it has failed too often, and waits to be resumed
   */
  state: 'slice' | 'caught_up' | 'busy' | 'resting' | 'parked';
  /** how far it has come; null when busy */
  position: number | null;
  head_position: number | null;
  retry_ms: number | null;
  /** others that the slice has moved to the same position */
  along?: string[];
}

/** What a consumer that makes something only for those who ask for it knows of the tenants in which nobody does. */
export interface Quiet {
  /** Nobody wants anything of this tenant's log, as far as this process knows. */
  has: (tenant_id: string) => boolean;
  /**
   * Moves the consumer to the heads of these tenants' logs, all in one transaction. A tenant in which somebody does want something stays
   * where it stands, and is quiet no more.
   */
  passOver: (tenant_ids: string[]) => Promise<PassedOver[]>;
}

export interface PassedOver {
  tenant_id: string;
  /** null when another process is at it */
  position: number | null;
  /** somebody wants what comes after the position */
  is_wanted: boolean;
}

export interface Consumer {
  /** `balances`; never changed, for it names the positions in the database */
  name: string;
  description: string;
  /** the most positions of one slice; absent means 20,000 */
  max_slice_positions?: number;
  /**
   * About how long what is appended may wait until it is applied, where the consumer had caught up: the longer, the more a slice does at once.
   * Absent means as soon as may be.
   */
  within_ms?: number;
  /** absent means that it is never quiet */
  quiet?: Quiet;
  /** Consumers whose slices its own may be as well, while they stand where it stands and neither it nor they are in trouble. */
  takes_along?: string[];
  /** Applies at most `limit` positions of a tenant and moves the consumer there, in one transaction; `alone`, it takes nobody along. */
  apply: (slice: { tenant_id: string; limit: number; alone: boolean }) => Promise<Applied>;
}
