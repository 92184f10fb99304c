// API keys: rows, wire form and types in one.
import { z } from 'zod';
import { idSchema } from '../../id.ts';

export const RoleNameSchema = z
  .enum(['owner', 'operator', 'auditor', 'integrator_read', 'integrator_write', 'platform'])
  .meta({ description: 'What the key may do; `GET /v1/roles` spells it out' });

export type RoleName = z.infer<typeof RoleNameSchema>;

export const KeySchema = z
  .object({
    id: idSchema('key'),
    name: z.string(),
    role: RoleNameSchema,
    status: z.enum(['active', 'expired', 'revoked']),
    rotated_from: idSchema('key').nullable(),
    created_at: z.string(),
    expires_at: z.string().nullable(),
    revoked_at: z.string().nullable(),
  })
  .meta({ id: 'Key', description: 'An API key, without its secret' });

export type Key = z.infer<typeof KeySchema>;
