// A module is a folder that owns one Postgres schema. What it offers to the process is data, collected by `main`.
import type { EventKind } from './event.ts';
import type { Job } from './job.ts';
import type { Route } from './route.ts';

export interface Module {
  name: string;
  routes: Route[];
  events: EventKind[];
  jobs: Job[];
}
