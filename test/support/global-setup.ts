// Once per run: a cluster, and in it a migrated template database that every test file clones.
import type { TestProject } from 'vitest/node';
import { startCluster } from './cluster.ts';
import { leftOut, missingPackages } from './debian.ts';
import { createTemplate } from './template.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** where the run's cluster lives */
    cluster_directory: string;
    /** how long the fault tests go on; `npm run faults` asks for more */
    fault_rounds: number;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster({ durable: false });
  await createTemplate(cluster);
  project.provide('cluster_directory', cluster.directory);
  return async () => {
    await cluster.stop();
    for (const line of leftOut(missingPackages())) console.warn(line);
  };
}
