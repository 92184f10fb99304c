import { defineConfig } from 'vitest/config';

/** The long form of the tests that kill, crowd and improvise; `npm test` runs one round of each. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts', 'test/model/**/*.test.ts', 'test/modules/projections/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    provide: { fault_rounds: 25 },
    pool: 'forks',
    // Each test kills processes and counts seconds: side by side they would measure one another.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
