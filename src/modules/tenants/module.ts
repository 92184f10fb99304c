import type { Module } from '../../module.ts';
import { events } from './events.ts';
import { routes } from './routes.ts';

export function tenantsModule(): Module {
  return { name: 'tenants', routes, events, jobs: [] };
}
