// Schedules and dead letters as rows, on the wire and in the log.
import { z } from 'zod';
import { idSchema } from '../id.ts';

export const NewScheduleSchema = z.strictObject({
  job: z.string().max(100).meta({ description: 'Its name', example: 'access.prune_stream_tickets' }),
  cron: z.string().max(200).meta({
    description: 'Minute, hour, day of the month, month, day of the week (0 is Sunday)',
    example: '30 2 * * 1-5',
  }),
  time_zone: z
    .string()
    .max(100)
    .default('UTC')
    .meta({ description: 'By which clock: an IANA name', example: 'Europe/Berlin' }),
  status: z.enum(['active', 'paused']).default('active'),
});
export type NewSchedule = z.infer<typeof NewScheduleSchema>;

export const ScheduleSchema = z
  .object({
    job: z.string().meta({ example: 'access.prune_stream_tickets' }),
    cron: z.string(),
    time_zone: z.string(),
    status: z.enum(['active', 'paused']),
    next_at: z.string().meta({ description: 'When it comes round next, unless it is paused' }),
    last_at: z.string().nullable().meta({ description: 'When it came round last' }),
    updated_at: z.string().nullable().meta({ description: '`null` when it is as usual' }),
  })
  .meta({ id: 'Schedule', description: 'When a job is done by itself' });
export type Schedule = z.infer<typeof ScheduleSchema>;

export const DeadLetterSchema = z
  .object({
    id: idSchema('dead_letter'),
    tenant_id: idSchema('tenant').meta({ description: "Whose job it was; the platform's own for its jobs" }),
    job: z.string().meta({ example: 'ledger.expire_holds' }),
    payload: z.unknown().meta({ description: 'Ids only' }),
    attempts: z.int(),
    reason: z.string().meta({ description: 'Of the last failure' }),
    queued_at: z.string(),
    failed_at: z.string(),
    status: z.enum(['waiting', 'retried', 'dismissed']),
    settled_at: z.string().nullable(),
    settled_by: idSchema('key').nullable().meta({ description: 'The key that retried or dismissed it' }),
  })
  .meta({ id: 'DeadLetter', description: 'A job that has used up its attempts' });
export type DeadLetter = z.infer<typeof DeadLetterSchema>;
