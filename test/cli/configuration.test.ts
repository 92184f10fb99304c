// docs/configuration.md knows every setting, and no other.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { root } from '../support/source.ts';

const source = readFileSync(join(root, 'src/config.ts'), 'utf8');
const settings = [
  ...new Set([...source.matchAll(/^ {4}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name)),
].sort();
const rows = [
  ...readFileSync(join(root, 'docs/configuration.md'), 'utf8').matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \|/gm),
].map(([, name = '', given = '']) => ({ name, usual: /^`([^`]+)`/.exec(given)?.[1] ?? null }));

test('each setting is documented, and nothing else', () => {
  expect(settings.length).toBeGreaterThan(12);
  expect(rows.map(({ name }) => name).sort()).toEqual(settings);
});

test('with its default', () => {
  const defaults = new Map(Object.entries(readConfig({})));
  const plain = rows.flatMap(({ name, usual }) => {
    const value = defaults.get(name);
    const is_plain = (typeof value === 'string' || typeof value === 'number') && name !== 'LOG_LEVEL';
    return is_plain ? [{ name, usual, expected: String(value) }] : [];
  });
  expect(plain.length).toBeGreaterThan(6);
  expect(plain.filter(({ usual, expected }) => usual !== expected)).toEqual([]);
});

test('a connection string that is no URL is named, and not shown', () => {
  const settings = ['DATABASE_URL', 'DATABASE_OWNER_URL', 'DATABASE_DIRECT_URL'];
  for (const name of settings) {
    expect(() => readConfig({ [name]: 'postgres://lattice_app:se#cret@host/lattice' })).toThrow(
      `the environment is not usable: ${name}: not a URL: what is special in a password is percent-encoded, such as %23 for #`,
    );
    const by_socket = 'postgres://lattice_app:se%23cret@/lattice?host=/run/postgresql';
    expect(readConfig({ [name]: by_socket })).toMatchObject({ [name]: by_socket });
  }
});

test('what is set to nothing is not set, and what is wrong is named', () => {
  expect(readConfig({ PORT: '' }).PORT).toBe(8420);
  expect(readConfig({ NODE_ENV: 'production' }).LOG_LEVEL).toBe('info');
  expect(() => readConfig({ PORT: 'x', HOST: 'y', RATE_LIMIT_PER_SECOND: '-1' })).toThrow(
    /^the environment is not usable: PORT: .*; RATE_LIMIT_PER_SECOND: /,
  );
});
