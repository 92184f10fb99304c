// Once per run: a cluster, and in it a migrated template database that every test file clones.
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createLogger } from '../../src/log.ts';
import { migrate } from '../../src/migrate.ts';
import { type Cluster, startCluster } from './cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** where the run's cluster lives */
    cluster_directory: string;
    /** how long the fault tests go on; `npm run faults` asks for more */
    fault_rounds: number;
  }
}

export const template_database = 'lattice_template';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster({ durable: false });
  await createTemplate(cluster);
  project.provide('cluster_directory', cluster.directory);
  return cluster.stop;
}

/** The roles, and an empty migrated database owned by `lattice_owner`. */
export async function createTemplate(cluster: Cluster): Promise<void> {
  const client = new pg.Client({ connectionString: cluster.url('postgres', 'postgres') });
  await client.connect();
  await client.query(await readFile(new URL('../../sql/roles.sql', import.meta.url), 'utf8'));
  await client.query(`create database ${template_database} owner lattice_owner`);
  await client.end();
  await migrate(cluster.url('lattice_owner', template_database), createLogger('warn'));
}
