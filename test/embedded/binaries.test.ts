// Where root puts what the user that runs Postgres has to reach.
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeOpen } from '../../src/embedded/binaries.ts';
import { aDataDirectory } from '../support/lattice.ts';

test('what root makes for the user that runs Postgres is open, whatever the umask, and opened when it was left closed', async () => {
  const directory = join(await aDataDirectory(), 'system', 'lattice');
  const umask = process.umask(0o077);
  onTestFinished(() => {
    process.umask(umask);
  });
  const mode = () => (statSync(directory).mode & 0o777).toString(8);
  makeOpen(directory);
  expect(mode()).toBe('755');
  chmodSync(directory, 0o700);
  makeOpen(directory);
  expect(mode()).toBe('755');
});
