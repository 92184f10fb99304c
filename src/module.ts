// A module is a folder that owns one Postgres schema. What it offers to the process is data, collected by `main`.
import type { Registry } from 'prom-client';
import type { Config } from './config.ts';
import type { Consumer } from './consumer.ts';
import type { Database } from './db.ts';
import type { EventKind } from './event.ts';
import type { Job } from './job.ts';
import type { Logger } from './log.ts';
import type { Route } from './route.ts';

/** What every module is made from. */
export interface Context {
  config: Config;
  /** as `lattice_app` */
  database: Database;
  logger: Logger;
  metrics: Registry;
  /** aborted when the process begins to stop: from then on it is not ready, and what would last for ever ends */
  draining: AbortSignal;
}

export interface Module {
  name: string;
  routes: Route[];
  events: EventKind[];
  jobs: Job[];
  /** what follows the log */
  consumers?: Consumer[];
  /** The answer of a key that was stored without a body: the text that was sent, from the event at `stored.position`. */
  renderStored?: (tenant_id: string, stored: { position: number | null; status: number }) => Promise<string>;
  /** Calls `onEnd` when a key ceases to open anything; rejects when it does not even now. Answers how to stop watching. */
  watchKey?: (holder: { tenant_id: string; actor_id: string }, onEnd: () => void) => Promise<() => void>;
  /** begins background work, such as following the log */
  start?: () => Promise<void>;
  /** finishes what is under way; nothing new is taken after this */
  stop?: () => Promise<void>;
}
