// What the log says about those who follow it. The subject is the tenant.
import { z } from 'zod';
import type { EventKind } from '../../event.ts';

export const consumer_events: EventKind[] = [
  {
    type: 'log.consumer_parked',
    subject: 'tenant',
    description:
      'A consumer has failed too often at one event and waits to be resumed; what it derives stands still',
    data: z
      .object({
        consumer: z.string(),
        position: z.int().meta({ description: 'Of the event at which it fails' }),
        attempts: z.int(),
        reason: z.string(),
      })
      .meta({ id: 'ConsumerParked' }),
  },
  {
    type: 'log.consumer_resumed',
    subject: 'tenant',
    description: 'A parked consumer tries again where it stood',
    data: z.object({ consumer: z.string() }).meta({ id: 'ConsumerResumed' }),
  },
];
