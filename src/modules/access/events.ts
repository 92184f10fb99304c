// What a tenant's log says of its keys. Never a secret.
import type { EventKind } from '../../event.ts';
import { KeySchema } from './schema.ts';

export const events: EventKind[] = [
  { type: 'access.key_created', description: 'An API key was created', subject: 'key', data: KeySchema },
  {
    type: 'access.key_rotated',
    description: 'An API key ends, and another takes over',
    subject: 'key',
    data: KeySchema,
  },
  {
    type: 'access.key_revoked',
    description: 'An API key opens nothing any more',
    subject: 'key',
    data: KeySchema,
  },
];
