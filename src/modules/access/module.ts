import type { Context, Module } from '../../module.ts';
import { events } from './events.ts';
import { accessRoutes } from './routes.ts';

export function accessModule({ database }: Context): Module {
  return { name: 'access', routes: accessRoutes(database), events, jobs: [] };
}
