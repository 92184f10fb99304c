import type { Context, Module } from '../../module.ts';
import type { Streams } from '../log/index.ts';
import { events } from './events.ts';
import { KeyWatch } from './key_watch.ts';
import { accessRoutes } from './routes.ts';
import { prune_stream_tickets, streamTicketRoute } from './stream_tickets.ts';

/** `streamPaths` are the templates of all streams' paths, once they are all there. */
export function accessModule(
  { database, logger }: Context,
  streams: Streams,
  streamPaths: () => string[],
): Module {
  const watch = new KeyWatch(database, streams, logger);
  return {
    name: 'access',
    routes: [...accessRoutes(database), streamTicketRoute(streamPaths)],
    events,
    jobs: [prune_stream_tickets],
    watchKey: (holder, onEnd) => watch.watch(holder, onEnd),
    start: async () => watch.start(),
    stop: async () => watch.stop(),
  };
}
