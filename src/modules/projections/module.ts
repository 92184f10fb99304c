import type { Context, Module } from '../../module.ts';
import { Projector } from './projector.ts';

export function projectionsModule(context: Context): Module {
  const projector = new Projector(context);
  return {
    name: 'projections',
    routes: [],
    events: [],
    jobs: [],
    start: () => projector.start(),
    stop: () => projector.stop(),
  };
}
