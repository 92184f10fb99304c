// What `start` makes of an embedded database, once: the first platform key, the demo tenant, and a month of a payments company's money.
// Each part can be repeated and then changes nothing.
import { randomBytes } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Actor, type Database, platform_tenant_id, system_actor_id } from '../db.ts';
import { Problem } from '../errors.ts';
import { decodeId, encodeId, idSchema, newUuid } from '../id.ts';
import { authenticate, createKey } from '../modules/access/index.ts';
import { createApi, maybeKept } from './api.ts';

const OpenedTenantSchema = z.object({
  id: idSchema('tenant'),
  owner_key: z.object({ api_key: z.string().nullable() }),
});

const starter: Actor = {
  tenant_id: platform_tenant_id,
  actor_id: system_actor_id,
  request_id: encodeId('request', newUuid()),
};

export interface Demo {
  tenant_id: string;
  /** an owner's */
  api_key: string;
}

/**
 * The key with which the platform is administered. The very first one can come from nobody but who has the database; it is kept in
 * the data directory, readable by its owner only.
 */
export async function openPlatform(database: Database, data_directory: string): Promise<string> {
  const path = join(data_directory, 'platform.json');
  const kept = maybeKept(path);
  if (kept !== null && (await isValid(database, kept.api_key))) return kept.api_key;
  const { api_key } = await database.transaction(starter, (tx) =>
    createKey(tx, { name: 'First start', role: 'platform' }),
  );
  keep(data_directory, 'platform.json', { api_key });
  return api_key;
}

export async function isValid(database: Database, api_key: string): Promise<boolean> {
  return authenticate(database, api_key).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Problem && error.status === 401) return false;
      throw error;
    },
  );
}

/** The demo tenant, made ready to post by the route that makes every tenant; the same tenant and key whenever it is asked again. */
export async function openDemoTenant(database: Database, url: string, platform_key: string): Promise<Demo> {
  const { id, owner_key } = await createApi(url, platform_key).post(
    '/v1/tenants',
    { slug: 'demo', name: 'Demo Payments', mode: 'test', template: 'psp', currency: 'EUR' },
    OpenedTenantSchema,
    'lattice-demo-tenant',
  );
  // Without its secret when another platform key asked first: platform.json was lost.
  const api_key = owner_key.api_key ?? (await createOwnerKey(database, decodeId('tenant', id, '#/id')));
  return { tenant_id: id, api_key };
}

async function createOwnerKey(database: Database, tenant_id: string): Promise<string> {
  const { api_key } = await database.transaction({ ...starter, tenant_id }, (tx) =>
    createKey(tx, { name: 'Demo', role: 'owner' }),
  );
  return api_key;
}

/** Answers how many transactions this start added. */
export async function loadDemoMonth(url: string, demo: Demo): Promise<{ rows: number; posted: number }> {
  // Only where a demo is made: the production image has no examples.
  const { postProcessorMonth } = await import('../../examples/processor-month/post.ts');
  const lines: string[] = [];
  const month = await postProcessorMonth({ url, api_key: demo.api_key, log: (line) => lines.push(line) });
  if (month.differences > 0)
    throw new Error(`the demo month does not agree with the ledger:\n${lines.join('\n')}`);
  return month;
}

/** For programs and people on this machine; readable by its owner only. */
export function keep(data_directory: string, file: string, value: unknown): void {
  const path = join(data_directory, file);
  const unfinished = `${path}.${randomBytes(4).toString('hex')}`;
  writeFileSync(unfinished, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(unfinished, path);
}
