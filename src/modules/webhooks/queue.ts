// The queue in the database: what is due, who is calling about it, and what came of it.
import { z } from 'zod';
import type { Consumer } from '../../consumer.ts';
import { type Database, queries, systemActor } from '../../db.ts';
import { type EventRow, statementConsumer } from '../log/index.ts';
import { type CalledEndpoint, consumer_name, listCalledEndpoints } from './endpoints.ts';
import type { Signers } from './secrets.ts';
import type { Signer } from './signing.ts';

const sql = queries(
  import.meta.url,
  'webhook_deliveries_queue',
  'webhook_quiet_pass_over',
  'webhook_due_list',
  'webhook_deliveries_claim',
  'webhook_events_find',
  'webhook_leases_renew',
  'webhook_attempts_record',
);

/** How long a caller that has died holds up what it had in its hands. */
const lease_ms = 6_000;

const PassedSchema = z.object({
  tenant_id: z.string(),
  position: z.number().nullable(),
  is_wanted: z.boolean(),
});

/** What the consumer tells of and asks about the tenants that have endpoints. */
export interface Serving {
  isServed: (tenant_id: string) => boolean;
  /** it has an endpoint */
  serve: (tenant_id: string) => void;
  /** something has been queued for it */
  wake: (tenant_id: string) => void;
}

/** Makes deliveries of events. A tenant without endpoints is passed over. */
export function webhooksConsumer(database: Database, serving: Serving): Consumer {
  const consumer = statementConsumer(database, sql.webhook_deliveries_queue, {
    name: consumer_name,
    description: 'Queues a delivery of each event for each webhook endpoint that wants it',
    max_slice_positions: 1_000,
  });
  return {
    ...consumer,
    async apply(slice) {
      const applied = await consumer.apply(slice);
      if (applied.state === 'slice') serving.wake(slice.tenant_id);
      return applied;
    },
    quiet: {
      has: (tenant_id) => !serving.isServed(tenant_id),
      async passOver(tenant_ids) {
        const passed = await database.call(sql.webhook_quiet_pass_over, { tenant_ids }, PassedSchema);
        for (const { tenant_id, is_wanted } of passed) if (is_wanted) serving.serve(tenant_id);
        return passed;
      },
    },
  };
}

const DueSchema = z.object({ tenant_id: z.string(), due_in_ms: z.number().nullable() });

/** Those of these tenants that have an endpoint, and when something of theirs is due. */
export async function listDue(
  database: Database,
  tenant_ids: string[],
): Promise<z.infer<typeof DueSchema>[]> {
  return database.call(sql.webhook_due_list, { tenant_ids }, DueSchema);
}

const ClaimSchema = z.object({
  id: z.string(),
  endpoint_id: z.string(),
  position: z.number(),
  recorded_at: z.string(),
  attempts: z.number(),
  created_at: z.string(),
});
export type Claim = z.infer<typeof ClaimSchema>;

/** Leases what is due to this caller, at most as many of each endpoint as it has room for. */
export async function claimDeliveries(
  database: Database,
  caller: string,
  wanted: {
    tenant_id: string;
    /** endpoint → room; of the others `other_room` */
    rooms: Map<string, number>;
    other_room: number;
    row_limit: number;
  },
): Promise<Claim[]> {
  const { tenant_id, rooms, other_room, row_limit } = wanted;
  return database.call(
    sql.webhook_deliveries_claim,
    {
      tenant_id,
      caller,
      lease_ms,
      endpoint_ids: [...rooms.keys()],
      rooms: [...rooms.values()],
      other_room,
      row_limit,
    },
    ClaimSchema,
  );
}

const EventRowSchema = z.object({
  position: z.number(),
  id: z.string(),
  type: z.string(),
  subject_id: z.string(),
  data: z.string(),
  actor_id: z.string(),
  request_id: z.string(),
  occurred_at: z.string(),
  recorded_at: z.string(),
});

/** What a caller has to know to call about what it has claimed. */
export interface Briefing {
  endpoints: Map<string, CalledEndpoint>;
  signers: Map<string, Signer[]>;
  /** by position */
  events: Map<number, EventRow>;
}

export async function brief(
  database: Database,
  tenant_id: string,
  claims: Claim[],
  signers: Signers,
): Promise<Briefing> {
  const endpoint_ids = [...new Set(claims.map(({ endpoint_id }) => endpoint_id))];
  const recorded = new Map(claims.map(({ position, recorded_at }) => [position, recorded_at]));
  return database.read(systemActor(tenant_id), async (tx) => {
    const endpoints = await listCalledEndpoints(tx, endpoint_ids);
    const values = { tenant_id, positions: [...recorded.keys()], recorded_ats: [...recorded.values()] };
    const events = await tx.many(sql.webhook_events_find, values, EventRowSchema);
    return {
      endpoints: new Map(endpoints.map((endpoint) => [endpoint.id, endpoint])),
      signers: await signers.list(tx, endpoint_ids),
      events: new Map(events.map((event) => [event.position, event])),
    };
  });
}

/** Says that this caller lives. */
export async function renewLeases(
  database: Database,
  caller: string,
  held: { tenant_id: string; id: string; endpoint_id: string }[],
): Promise<void> {
  await database.call(
    sql.webhook_leases_renew,
    {
      tenant_ids: held.map(({ tenant_id }) => tenant_id),
      ids: held.map(({ id }) => id),
      endpoint_ids: held.map(({ endpoint_id }) => endpoint_id),
      caller,
      lease_ms,
    },
    z.object({ renewed: z.string().nullable() }),
  );
}

/** A call that was made, and what the delivery is after it. */
export interface Outcome {
  id: string;
  endpoint_id: string;
  number: number;
  status: 'pending' | 'succeeded' | 'failed';
  /** when a pending one is due again; null: as before, for its endpoint rests */
  due_at: string | null;
  started_at: string;
  duration_ms: number;
  status_code: number | null;
  /** null when it succeeded */
  fault: string | null;
  detail: string | null;
  answer: string | null;
}

export interface EndpointNews {
  endpoint_id: string;
  is_failing: boolean;
  resting_until: string | null;
  /** the caller has nothing more for it in its hands */
  is_idle: boolean;
}

/** Answers the endpoints that have kept failing since before `failing_before`. */
export async function recordAttempts(
  database: Database,
  caller: string,
  tenant_id: string,
  news: { outcomes: Outcome[]; released: string[]; endpoints: EndpointNews[]; failing_before: string },
): Promise<string[]> {
  const { outcomes, released, endpoints, failing_before } = news;
  const column = <Value>(of: (outcome: Outcome) => Value) => outcomes.map(of);
  const rows = await database.call(
    sql.webhook_attempts_record,
    {
      tenant_id,
      caller,
      ids: column(({ id }) => id),
      numbers: column(({ number }) => number),
      statuses: column(({ status }) => status),
      due_ats: column(({ due_at }) => due_at),
      started_ats: column(({ started_at }) => started_at),
      durations_ms: column(({ duration_ms }) => duration_ms),
      status_codes: column(({ status_code }) => status_code),
      faults: column(({ fault }) => fault),
      details: column(({ detail }) => detail),
      answers: column(({ answer }) => answer),
      released,
      endpoint_ids: endpoints.map(({ endpoint_id }) => endpoint_id),
      failing: endpoints.map(({ is_failing }) => is_failing),
      resting_untils: endpoints.map(({ resting_until }) => resting_until),
      idle: endpoints.map(({ is_idle }) => is_idle),
      failing_before,
    },
    z.object({ endpoint_id: z.string().nullable() }),
  );
  return rows.flatMap(({ endpoint_id }) => (endpoint_id === null ? [] : [endpoint_id]));
}
