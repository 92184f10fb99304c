// What tests need that npm does not bring: Debian packages, which .ci/run installs.
import { existsSync } from 'node:fs';

interface Package {
  name: string;
  /** one of its programs */
  program: string;
  /** the test files that need it */
  files: string[];
}

export const postgresql_15: Package = {
  name: 'postgresql-15',
  program: '/usr/lib/postgresql/15/bin/postgres',
  files: ['test/oldest_postgres.test.ts'],
};
export const chromium: Package = {
  name: 'chromium',
  program: '/usr/bin/chromium',
  files: ['test/examples/live_balances.test.ts'],
};
export const packages = [postgresql_15, chromium];

/** Those whose files are left out, and named at the end of the run. Where CI is set none are: their tests then fail without them. */
export function missingPackages(
  environment: Record<string, string | undefined> = process.env,
  is_installed: (program: string) => boolean = existsSync,
): Package[] {
  if (environment.CI !== undefined) return [];
  return packages.filter(({ program }) => !is_installed(program));
}

/** What a run says that leaves files out. */
export function leftOut(missing: Package[]): string[] {
  return missing.map(
    ({ name, files, program }) =>
      `LEFT OUT: ${files.join(', ')}, for there is no ${program}: apt-get install --no-install-recommends ${name}`,
  );
}
