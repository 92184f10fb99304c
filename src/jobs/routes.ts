// Routes of schedules and dead letters. A tenant sees and settles its own; a platform key those of all tenants, and sets the platform's schedules.
import { z } from 'zod';
import type { Database } from '../db.ts';
import { Problem } from '../errors.ts';
import { checkIfMatch, taggedReply } from '../etag.ts';
import { decodeId, encodeId, idSchema, newUuid } from '../id.ts';
import type { Job } from '../job.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../page.ts';
import { type Route, readRoute, writeRoute } from '../route.ts';
import {
  findDeadLetter,
  findWaiting,
  listDeadLetters,
  renderDeadLetter,
  type Settlement,
  settle,
} from './dead_letters.ts';
import { findSchedule, listSchedules, lockSchedule, setSchedule } from './schedules.ts';
import { DeadLetterSchema, NewScheduleSchema, ScheduleSchema } from './schema.ts';

const tag = 'Jobs';
const may_read = { action: 'read', subject: 'job' } as const;
const may_update = { action: 'update', subject: 'job' } as const;

const DeadLetterPathSchema = z.strictObject({ dead_letter: idSchema('dead_letter') });

const SettledSchema = z
  .object({
    id: idSchema('dead_letter'),
    tenant_id: idSchema('tenant'),
    status: z.enum(['retried', 'dismissed']),
    settled_by: idSchema('key'),
  })
  .meta({ id: 'DeadLetterSettlement' });

const letterId = (params: z.infer<typeof DeadLetterPathSchema>) =>
  decodeId('dead_letter', params.dead_letter, '#/path/dead_letter');

export function jobRoutes(database: Database, jobs: () => Job[]): Route[] {
  return [
    readRoute({
      method: 'get',
      path: '/v1/schedules',
      operation_id: 'listSchedules',
      summary: 'See what is done by itself, and when',
      description: "The tenant's schedules; of a platform key, those of the platform's own jobs.",
      tag,
      permission: may_read,
      responses: { 200: z.object({ data: z.array(ScheduleSchema) }) },
      problems: [],
      handler: async (tx) => ({ status: 200, body: { data: await listSchedules(tx, jobs()) } }),
    }),
    readRoute({
      method: 'get',
      path: '/v1/schedules/{job}',
      operation_id: 'findSchedule',
      summary: 'See when a job is done by itself',
      description:
        'The ETag is for `If-Match` when it is set; it is another one each time the job has come round.',
      tag,
      permission: may_read,
      params: z.strictObject({ job: z.string() }),
      responses: { 200: ScheduleSchema },
      tagged: true,
      problems: ['not_found'],
      handler: async (tx, { params }) => taggedReply(200, await findSchedule(tx, jobs(), params.job)),
    }),
    writeRoute({
      method: 'put',
      path: '/v1/schedules',
      operation_id: 'setSchedule',
      summary: 'Set when a job is done by itself',
      description:
        'By the clock of a time zone. What is missed while nothing runs is caught up once. Where a clock is put forward, what falls into the ' +
        'missing hour is done at the change; where it is put back, the hour comes twice.',
      tag,
      permission: may_update,
      body: NewScheduleSchema,
      example: { job: 'access.prune_stream_tickets', cron: '30 2 * * 1-5', time_zone: 'Europe/Berlin' },
      responses: { 200: ScheduleSchema },
      tagged: true,
      problems: ['not_found', 'precondition_failed'],
      async handler(tx, input) {
        checkIfMatch(input, await lockSchedule(tx, jobs(), input.body.job));
        return taggedReply(200, await setSchedule(tx, input.body));
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/dead_letters',
      operation_id: 'listDeadLetters',
      summary: 'List jobs that gave up',
      description: "The newest first. The tenant's own; of a platform key, those of all tenants.",
      tag,
      permission: may_read,
      query: PageQuerySchema.extend({
        status: DeadLetterSchema.shape.status.optional(),
        job: z.string().max(100).optional(),
      }),
      responses: { 200: pageSchema(DeadLetterSchema) },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      async handler(tx, input) {
        const { status = null, job = null } = input.query;
        const page = pageRequest('dead_letters', input.query, z.uuid());
        const rows = await listDeadLetters(tx, { status, job }, page);
        return pageReply('dead_letters', input, rows, (row) => row.id, renderDeadLetter);
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/dead_letters/{dead_letter}',
      operation_id: 'findDeadLetter',
      summary: 'Read a job that gave up',
      description: 'With the reason of its last failure.',
      tag,
      permission: may_read,
      params: DeadLetterPathSchema,
      responses: { 200: DeadLetterSchema },
      problems: ['not_found'],
      handler: async (tx, { params }) => ({
        status: 200,
        body: renderDeadLetter(await findDeadLetter(tx, letterId(params))),
      }),
    }),
    settlementRoute(database, jobs, 'retried', {
      path: '/v1/dead_letters/{dead_letter}/retry',
      operation_id: 'retryDeadLetter',
      summary: 'Try a job that gave up again',
      description:
        "It goes back into the queue, with all its attempts. Its tenant's log says who asked for it.",
    }),
    settlementRoute(database, jobs, 'dismissed', {
      path: '/v1/dead_letters/{dead_letter}/dismissal',
      operation_id: 'dismissDeadLetter',
      summary: 'Let a job that gave up be',
      description: "It stays on the list, dismissed. Its tenant's log says who did it.",
    }),
  ];
}

function settlementRoute(
  database: Database,
  jobs: () => Job[],
  how: Settlement,
  words: { path: string; operation_id: string; summary: string; description: string },
): Route {
  return writeRoute({
    ...words,
    method: 'post',
    tag,
    permission: may_update,
    params: DeadLetterPathSchema,
    responses: { 201: SettledSchema },
    problems:
      how === 'retried'
        ? ['not_found', 'dead_letter_settled', 'job_unknown']
        : ['not_found', 'dead_letter_settled'],
    async handler(tx, { params }) {
      const { id, tenant_id } = await findWaiting(tx, jobs(), letterId(params), how);
      // One transaction is one tenant: a platform key settles another tenant's after its own transaction.
      const is_own = tenant_id === tx.actor.tenant_id;
      if (is_own && !(await settle(tx, jobs(), id, how))) {
        throw new Problem('dead_letter_settled', 'Somebody else was first');
      }
      return {
        status: 201,
        body: {
          id: params.dead_letter,
          tenant_id: encodeId('tenant', tenant_id),
          status: how,
          settled_by: encodeId('key', tx.actor.actor_id),
        },
      };
    },
    async complete(answer) {
      const settled = SettledSchema.parse(JSON.parse(answer));
      const tenant_id = decodeId('tenant', settled.tenant_id, '#/tenant_id');
      const actor = {
        tenant_id,
        actor_id: decodeId('key', settled.settled_by, '#/settled_by'),
        request_id: encodeId('request', newUuid()),
      };
      // Nothing the second time, and nothing for what the handler has settled.
      await database.transaction(actor, (tx) =>
        settle(tx, jobs(), decodeId('dead_letter', settled.id, '#/id'), how),
      );
    },
  });
}
