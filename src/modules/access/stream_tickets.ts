// Tickets: a browser's EventSource sends no API key, and a URL is no place for one. A ticket opens one stream, once, within a minute,
// and the stream may do what the key that asked for the ticket may do. st_<tenant>_<secret>: the tenant says behind which wall to look.
import { hash } from 'node:crypto';
import { z } from 'zod';
import { type Database, queries, type Tx } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId, maybeDecodeId } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import { job } from '../../job.ts';
import { type Route, writeRoute } from '../../route.ts';
import { newSecret } from './api_key.ts';
import { checkKey, type Holder, unauthenticated } from './authentication.ts';

const sql = queries(
  import.meta.url,
  'stream_ticket_insert',
  'stream_ticket_delete_expired',
  'stream_ticket_find',
  'stream_ticket_take',
);

const lifetime_seconds = 60;
const form = /^st_([0-9a-hjkmnp-tv-z]{26})_([0-9a-hjkmnp-tv-z]{52})$/;

const NewTicketSchema = z.strictObject({
  path: z.string().max(2_000).meta({
    description: 'Path and query of the stream that it is to open; `after` may be given later',
    example: '/v1/events/stream?account=customers:alice',
  }),
});

const TicketSchema = z
  .object({
    ticket: z
      .string()
      .nullable()
      .meta({ description: 'Shown once; `null` when another key repeats the request' }),
    url: z.string().nullable().meta({ description: 'What an EventSource opens, on this host' }),
    expires_at: InstantSchema,
  })
  .meta({ id: 'StreamTicket', description: 'Opens one stream, once' });

/** What a ticket is bound to: a stream and its filters, whatever their order; not the position where it begins. */
function targetOf(path: string): string {
  const [pathname = '', search = ''] = path.split('?', 2);
  const query = new URLSearchParams(search);
  query.delete('after');
  query.delete('ticket');
  query.sort();
  return `${pathname}?${query}`;
}

/** Errors: `invalid_request`. */
async function createTicket(tx: Tx, path: string): Promise<z.infer<typeof TicketSchema>> {
  const { tenant_id, actor_id } = tx.actor;
  const secret = newSecret();
  await tx.run(sql.stream_ticket_delete_expired, { tenant_id });
  const { expires_at } = await tx.one(
    sql.stream_ticket_insert,
    { tenant_id, secret_hash: hashOf(secret), key_id: actor_id, target: targetOf(path), lifetime_seconds },
    z.object({ expires_at: z.string() }),
  );
  const ticket = `st_${encodeId('tenant', tenant_id).slice('ten_'.length)}_${secret}`;
  return { ticket, url: `${path}${path.includes('?') ? '&' : '?'}ticket=${ticket}`, expires_at };
}

export const prune_stream_tickets = job({
  name: 'access.prune_stream_tickets',
  description: 'Clears away the tickets for streams that nobody has used in time',
  payload: z.strictObject({}),
  schedule: { of: 'tenant', cron: '40 3 * * *', time_zone: 'UTC' },
  async run({ database, actor }) {
    await database.transaction(actor, (tx) =>
      tx.run(sql.stream_ticket_delete_expired, { tenant_id: actor.tenant_id }),
    );
  },
});

const RowSchema = z.object({ key_id: z.uuid() });

/**
 * Who holds the key that asked for a ticket, which stays good: a stream may be refused yet.
 * Errors: `unauthenticated`, the same whether it is malformed, unknown, used, expired or for another stream; `tenant_suspended`.
 */
export async function findTicket(database: Database, ticket: string, path: string): Promise<Holder> {
  const [found] = await database.call(sql.stream_ticket_find, presentedTicket(ticket, path), RowSchema);
  if (found === undefined) throw unauthenticated();
  return (await checkKey(database, found.key_id)).holder;
}

/** Uses a ticket up, once: of those who found it, one opens a stream. Errors: `unauthenticated`, as above. */
export async function takeTicket(database: Database, ticket: string, path: string): Promise<void> {
  const [taken] = await database.call(sql.stream_ticket_take, presentedTicket(ticket, path), RowSchema);
  if (taken === undefined) throw unauthenticated();
}

/** Errors: `unauthenticated`. */
function presentedTicket(ticket: string, path: string) {
  const [, letters, secret] = form.exec(ticket) ?? [];
  const tenant_id = letters === undefined ? null : maybeDecodeId('tenant', `ten_${letters}`);
  if (tenant_id === null || secret === undefined) throw unauthenticated();
  return { tenant_id, secret_hash: hashOf(secret), target: targetOf(path) };
}

function hashOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** `streamPaths` are the templates of all streams' paths, once they are all there. */
export function streamTicketRoute(streamPaths: () => string[]): Route {
  return writeRoute({
    method: 'post',
    path: '/v1/stream_tickets',
    operation_id: 'createStreamTicket',
    summary: 'Get a ticket for a stream',
    description: [
      `For browsers, whose EventSource sends no API key: \`new EventSource(url)\`. A ticket opens one stream, once, within ${lifetime_seconds} s,`,
      'with the filters it was asked for and the rights of the key that asked. It is used up then: when an EventSource is closed for good',
      '(`readyState` 2), get another and open it with `after` set to the last id.',
    ].join(' '),
    tag: 'Access',
    permission: null,
    body: NewTicketSchema,
    example: { path: '/v1/events/stream?account=customers:alice' },
    responses: { 201: TicketSchema },
    problems: [],
    async handler(tx, { body }) {
      if (!opensStream(body.path, streamPaths())) {
        const detail = `not the path of a stream, such as ${streamPaths()[0]}`;
        throw new Problem('invalid_request', `#/path: ${detail}`, {
          errors: [{ pointer: '#/path', code: 'stream_unknown', detail }],
        });
      }
      const ticket = await createTicket(tx, body.path);
      return { status: 201, body: ticket, redacted: { ...ticket, ticket: null, url: null } };
    },
  });
}

function opensStream(path: string, templates: string[]): boolean {
  const [pathname = ''] = path.split('?');
  return templates.some((template) => {
    const pattern = template.replace(/\{[^}]+\}/g, '[A-Za-z0-9_%.-]+');
    return new RegExp(`^${pattern}$`).test(pathname);
  });
}
