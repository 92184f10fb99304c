// Who may do what, as one table. CASL answers the questions; the database keeps tenants apart whatever this table says.
import { createMongoAbility } from '@casl/ability';
import type { z } from 'zod';
import type { Permission } from '../../route.ts';
import { type RoleName, RoleNameSchema, type RoleSchema } from './schema.ts';

type Action = Permission['action'];

interface Role {
  description: string;
  may: Partial<Record<Action, readonly string[]>>;
}

/** What an integrator's programs look at: the tenant's money. */
const money = ['account', 'asset', 'balance', 'entry', 'event', 'proof', 'report', 'transaction'] as const;
/** What every key may ask about itself. */
const self = ['me', 'role'] as const;
/** The whole of one tenant. */
const whole_tenant = [...money, ...self, 'consumer', 'job', 'key', 'own_tenant', 'webhook'] as const;

const roles: Record<RoleName, Role> = {
  owner: {
    description: 'Everything within the tenant, keys included',
    may: {
      read: whole_tenant,
      create: ['account', 'asset', 'key', 'report_dimension', 'transaction', 'webhook'],
      update: ['account', 'consumer', 'job', 'key', 'proof', 'webhook'],
      force: ['transaction'],
    },
  },
  operator: {
    description:
      'Runs the daily business: posts, corrects, even past limits; sees keys but does not make them',
    may: {
      read: whole_tenant,
      create: ['account', 'transaction', 'webhook'],
      update: ['account', 'consumer', 'job', 'proof', 'webhook'],
      force: ['transaction'],
    },
  },
  auditor: {
    description: 'Reads everything, changes nothing',
    may: { read: whole_tenant },
  },
  integrator_read: {
    description: "A program that reads the tenant's money",
    may: { read: [...money, ...self, 'own_tenant'] },
  },
  integrator_write: {
    description: "A program that reads and posts the tenant's money, within limits",
    may: {
      read: [...money, ...self, 'own_tenant'],
      create: ['account', 'transaction'],
      update: ['account'],
    },
  },
  platform: {
    description:
      "Administers tenants, on the platform itself, and proves the platform's log; sees no money of theirs",
    may: {
      read: [...self, 'consumer', 'event', 'job', 'key', 'own_tenant', 'proof', 'tenant'],
      create: ['key', 'tenant'],
      update: ['consumer', 'job', 'key', 'tenant'],
    },
  },
};

export function permissionsOf(role: RoleName): Permission[] {
  const { read = [], create = [], update = [], force = [] } = roles[role].may;
  return [
    ...read.map((subject) => ({ action: 'read' as const, subject })),
    ...create.map((subject) => ({ action: 'create' as const, subject })),
    ...update.map((subject) => ({ action: 'update' as const, subject })),
    ...force.map((subject) => ({ action: 'force' as const, subject })),
  ];
}

// Grants without conditions only, so CASL's type-level check is exact; a condition would need instances instead.
const checks = new Map(
  RoleNameSchema.options.map((role) => {
    const ability = createMongoAbility(permissionsOf(role));
    return [role, (permission: Permission) => ability.can(permission.action, permission.subject)] as const;
  }),
);

/** Whether holders of a role may do something; the same function for each call with the same role. */
export function checkOf(role: RoleName): (permission: Permission) => boolean {
  const check = checks.get(role);
  if (check === undefined) throw new Error(`no role ${role}`);
  return check;
}

/** Whether a principal may do all that a role may, and so may hand the role out. */
export function coversRole(can: (permission: Permission) => boolean, role: RoleName): boolean {
  return permissionsOf(role).every(can);
}

/** A role as it is shown. */
export function findRole(name: RoleName): z.infer<typeof RoleSchema> {
  const permissions = permissionsOf(name).map(({ action, subject }) => `${action}:${subject}`);
  return { name, description: roles[name].description, permissions };
}
