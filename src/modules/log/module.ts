import type { EventKind } from '../../event.ts';
import type { Module } from '../../module.ts';
import { type AccountPositions, createRoutes } from './routes.ts';

export interface LogOptions {
  /** what all modules say, once they are all there */
  kinds: () => EventKind[];
  accountPositions: AccountPositions;
}

export function logModule(options: LogOptions): Module {
  return { name: 'log', routes: createRoutes(options.kinds, options.accountPositions), events: [], jobs: [] };
}
