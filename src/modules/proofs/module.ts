import type { Context, Module } from '../../module.ts';
import { blocksConsumer } from './blocks.ts';
import { proofsRoutes } from './routes.ts';
import { readSigningKeys, type SigningKeys } from './signing_keys.ts';

export function proofsModule(context: Context): Module {
  let read: SigningKeys | null = null;
  const keys = () => {
    read ??= readSigningKeys(context.config);
    return read;
  };
  return {
    name: 'proofs',
    routes: proofsRoutes(context, keys),
    events: [],
    jobs: [],
    consumers: [blocksConsumer(context.database, keys)],
    // A process that cannot sign does not start.
    start: async () => {
      keys();
    },
  };
}
