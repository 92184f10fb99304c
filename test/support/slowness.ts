// Bounds in seconds are of a machine that has time for what it is asked. Here three files run at once, and who knows what beside them.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { inherited_environment } from './environment.ts';
import { root } from './source.ts';

/** what the process below takes on two cores with nothing else to do */
const usual_ms = 500;

/** Fails when something took longer than it may; on a machine that is slow just now, as many times longer as everything else takes. */
export async function expectWithin(bound_ms: number, took_ms: number): Promise<void> {
  if (took_ms < bound_ms) return;
  const began = performance.now();
  await promisify(execFile)(process.execPath, [join(root, 'src/main.ts'), '--help'], {
    env: inherited_environment,
  });
  const slowness = Math.max(1, (performance.now() - began) / usual_ms);
  expect(took_ms, `it may take ${Math.round(bound_ms * slowness)} ms`).toBeLessThan(bound_ms * slowness);
}
