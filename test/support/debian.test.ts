import { expect, test } from 'vitest';
import { leftOut, missingPackages, packages } from './debian.ts';
import { listFiles, readSource } from './source.ts';

test('the files that need a package are those that say so', () => {
  const tests = listFiles().filter((path) => /^test\/.*\.test\.ts$/.test(path));
  expect(tests.length).toBeGreaterThan(80);
  const needing = tests.filter((path) =>
    /^import .* from '.*support\/(debian|browser)\.ts'/m.test(readSource(path).text),
  );
  expect(needing.sort()).toEqual(packages.flatMap(({ files }) => files).sort());
});

test('what is missing is left out and named, and nowhere else than on a machine that promised nothing', () => {
  const nothing = () => false;
  expect(missingPackages({}, () => true)).toEqual([]);
  expect(missingPackages({ CI: 'true' }, nothing)).toEqual([]);
  expect(leftOut(missingPackages({}, nothing))).toMatchInlineSnapshot(`
    [
      "LEFT OUT: test/oldest_postgres.test.ts, for there is no /usr/lib/postgresql/15/bin/postgres: apt-get install --no-install-recommends postgresql-15",
      "LEFT OUT: test/examples/live_balances.test.ts, for there is no /usr/bin/chromium: apt-get install --no-install-recommends chromium",
    ]
  `);
});
