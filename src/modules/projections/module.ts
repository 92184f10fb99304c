import type { Context, Module } from '../../module.ts';
import { balancesConsumer } from './balances.ts';

export function projectionsModule({ database }: Context): Module {
  return { name: 'projections', routes: [], events: [], jobs: [], consumers: [balancesConsumer(database)] };
}
