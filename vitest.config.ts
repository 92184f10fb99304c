import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { missingPackages } from './test/support/debian.ts';

// What V8 has compiled in one process is there for the next.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/tests');

/** Where the long files are. */
const long = /\/test\/(faults|model)\/|\/test\/(readme|cli\/start)\.test\.ts$/;

/** The long files come first, or the run would wait for one of them in the end: a fresh clone knows of no durations. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => Number(long.test(b.moduleId)) - Number(long.test(a.moduleId)));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...missingPackages().flatMap(({ files }) => files)],
    globalSetup: ['test/support/global-setup.ts'],
    provide: { fault_rounds: 1 },
    pool: 'forks',
    // A process runs file after file, and imports the product once.
    isolate: false,
    execArgv: ['--import', join(import.meta.dirname, 'test/support/instances.ts')],
    // Node runs TypeScript as it is.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    sequence: { sequencer: LongFirst },
    // Sized for two cores: a third file computes while others wait for Postgres, for processes and for instants.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
