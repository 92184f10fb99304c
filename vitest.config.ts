import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Each file has a process of its own; what V8 has compiled for one is there for the next.
process.env.NODE_COMPILE_CACHE ??= join(import.meta.dirname, 'node_modules/.cache/tests');

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    provide: { fault_rounds: 1 },
    pool: 'forks',
    // Node runs TypeScript as it is.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // Sized for two cores: a third file computes while others wait for Postgres, for processes and for instants.
    maxWorkers: 3,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
