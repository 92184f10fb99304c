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

/** Shown once. */
const ApiKeySchema = z.string().nullable().meta({
  description:
    'Send it as `Authorization: Bearer …`. Shown once, here: a repeated request gets it again only with the API key that first sent it, and `null` with another',
  example: 'lk_live_01h455vb4pex5vsknk084sn02q_…',
});

export const CreatedKeySchema = KeySchema.extend({ api_key: ApiKeySchema }).meta({
  id: 'CreatedKey',
  description: 'An API key, with the text that opens doors',
});

export const RotatedKeySchema = CreatedKeySchema.extend({
  previous: KeySchema.meta({
    description: 'The key that was rotated, with the end of its overlap in `expires_at`',
  }),
}).meta({ id: 'RotatedKey' });

export const RoleSchema = z
  .object({
    name: RoleNameSchema,
    description: z.string(),
    permissions: z.array(z.string()).meta({ description: '`action:subject`', example: ['read:account'] }),
  })
  .meta({ id: 'Role' });

export type Key = z.infer<typeof KeySchema>;
