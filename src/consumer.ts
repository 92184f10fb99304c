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
}

export interface Consumer {
  /** `balances`; never changed, for it names the positions in the database */
  name: string;
  description: string;
  /** the most positions of one slice; absent means 20,000 */
  max_slice_positions?: number;
  /** the least time between two slices of a tenant that was caught up; absent means 50 */
  rest_ms?: number;
  /** Applies at most `limit` positions of a tenant and moves the consumer there, in one transaction. */
  apply: (slice: { tenant_id: string; limit: number }) => Promise<Applied>;
}
