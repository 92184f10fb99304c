// GET /v1/projections/{projection}/stream: how far a projection has come and what it says in short, again whenever it has moved, ten times a
// second at most.
import { z } from 'zod';
import { type Actor, type Database, system_actor_id } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { type StreamRoute, streamRoute } from '../../route.ts';
import { StreamQuerySchema } from '../../stream.ts';
import { no_filter, type Streams, type TopicSource } from '../log/index.ts';
import { projections } from './manifest.ts';
import { findReached, type Reached } from './positions.ts';
import type { Projection } from './projection.ts';

const StateSchema = z
  .object({
    position: z.int().meta({ description: 'Everything up to this position of the log counts' }),
    projection: z.string().meta({ example: 'invoices' }),
    version: z.int(),
    lag_events: z.int().meta({ description: 'Events of the log that do not count yet' }),
    data: z.array(z.looseObject({})).meta({
      description: [
        'The newest state in short. Of `balances` the accounts that moved last, 50 at most; of `balances_daily` what was brought by business day and',
        'recorded day to the accounts and days that moved last, 50 at most; of `invoices` what is due per currency; of `reports` the activity of',
        'yesterday and today',
      ].join(' '),
    }),
  })
  .meta({ id: 'ProjectionState' });

/** Postgres puts rows that it aggregates on lines of their own, and a line ends a field of a message. No string of JSON holds one. */
const DataSchema = z.object({ data: z.string().transform((text) => text.replaceAll('\n', '')) });

export function projectionStreamRoute(database: Database, { topics }: Streams): StreamRoute {
  return streamRoute({
    method: 'get',
    path: '/v1/projections/{projection}/stream',
    operation_id: 'streamProjection',
    summary: 'Follow a projection',
    description: [
      'As `text/event-stream`: the state of a projection in short, first as it is and then again whenever it has moved. Each message is all of it,',
      'with the position that it reflects, so nothing is to be resumed; there are at most ten in a second, and a client that is slow gets the newest.',
    ].join(' '),
    tag: 'Projections',
    permission: { action: 'read', subject: 'report' },
    params: z.strictObject({ projection: z.string().meta({ example: 'invoices' }) }),
    query: StreamQuerySchema,
    responses: { 200: StateSchema },
    problems: ['not_found'],
    async open({ principal, params }) {
      const projection = projections.find(({ name }) => name === params.projection);
      if (projection === undefined) throw new Problem('not_found', 'There is no such projection');
      return topics.open(source(database, principal.tenant_id, projection));
    },
  });
}

function source(database: Database, tenant_id: string, projection: Projection): TopicSource {
  const actor = { tenant_id, actor_id: system_actor_id, request_id: 'stream' };
  let known: { reached: Reached; data: string } | null = null;
  return {
    tenant_id,
    key: `projection ${projection.name}`,
    filter: no_filter,
    async read() {
      known = await readState(database, actor, projection, known);
      const { position, version, head_position } = known.reached;
      const name = JSON.stringify(projection.name);
      const state = `{"projection":${name},"version":${version},"lag_events":${Math.max(0, head_position - position)},"data":${known.data}}`;
      return { position, expected_position: head_position, state };
    },
  };
}

/** What it says is read anew only when it has moved. */
async function readState(
  database: Database,
  actor: Actor,
  { name, state }: Projection,
  known: { reached: Reached; data: string } | null,
): Promise<{ reached: Reached; data: string }> {
  return database.read(actor, async (tx) => {
    const reached = await findReached(tx, name);
    const { position, version } = reached;
    if (known?.reached.position === position && known.reached.version === version)
      return { reached, data: known.data };
    const { data } = await tx.one(state, { tenant_id: actor.tenant_id, version }, DataSchema);
    return { reached, data };
  });
}
