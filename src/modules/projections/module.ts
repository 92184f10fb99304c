import type { Context, Module } from '../../module.ts';
import { statementConsumer } from '../log/index.ts';
import { projections } from './manifest.ts';

export function projectionsModule({ database }: Context): Module {
  return {
    name: 'projections',
    routes: [],
    events: [],
    jobs: [],
    consumers: projections.map(({ apply, name, description, rest_ms }) =>
      statementConsumer(database, apply, { name, description, rest_ms }),
    ),
  };
}
