// The migrated database that test files clone and sql/schema.sql is written from.
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { createLogger } from '../../src/log.ts';
import { migrate } from '../../src/migrate.ts';
import type { Cluster } from './cluster.ts';

export const template_database = 'lattice_template';

/** The roles, and an empty migrated database owned by `lattice_owner`. */
export async function createTemplate(cluster: Cluster): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.url('postgres', 'postgres') });
  await client.connect();
  await client.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  await client.query(`create database ${template_database} owner lattice_owner`);
  await client.end();
  await migrate(cluster.url('lattice_owner', template_database), createLogger('warn'));
}
