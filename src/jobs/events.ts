// What a log says of its tenant's jobs: only what somebody has to know or has done. Jobs that do their work say nothing.
import type { EventKind } from '../event.ts';
import { DeadLetterSchema, ScheduleSchema } from './schema.ts';

const dead_letter = { subject: 'dead_letter' as const, data: DeadLetterSchema };

export const job_events: EventKind[] = [
  {
    ...dead_letter,
    type: 'jobs.job_failed',
    description: 'A job has used up its attempts and waits for somebody to retry or dismiss it',
  },
  { ...dead_letter, type: 'jobs.dead_letter_retried', description: 'A job that gave up is tried again' },
  {
    ...dead_letter,
    type: 'jobs.dead_letter_dismissed',
    description: 'A job that gave up will not be done',
  },
  {
    type: 'jobs.schedule_set',
    subject: 'tenant',
    description: 'A job is done by itself at other times than before',
    data: ScheduleSchema,
  },
];
