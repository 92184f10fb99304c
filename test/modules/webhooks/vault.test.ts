import { expect, test } from 'vitest';
import { Vault } from '../../../src/modules/webhooks/vault.ts';

const key = (letter: string) => Buffer.alloc(32, letter).toString('base64');
const vault = (...keys: string[]) =>
  new Vault({ NODE_ENV: 'production', LATTICE_DATA_DIR: '/nonexistent', WEBHOOK_SECRET_KEY: keys });

test('the first key seals, and each of them opens', () => {
  const sealed = vault(key('a')).seal(Buffer.from('secret'), 'a row');
  const both = vault(key('b'), key('a'));
  expect(both.unseal(sealed, 'a row').toString()).toBe('secret');
  expect([both.isCurrent(sealed, 'a row'), vault(key('a')).isCurrent(sealed, 'a row')]).toEqual([
    false,
    true,
  ]);
  const resealed = both.seal(both.unseal(sealed, 'a row'), 'a row');
  expect(vault(key('b')).unseal(resealed, 'a row').toString()).toBe('secret');
});

test('another key, another row and an altered byte open nothing', () => {
  const sealed = vault(key('a')).seal(Buffer.from('secret'), 'a row');
  expect(() => vault(key('b'), key('c')).unseal(sealed, 'a row')).toThrow('WEBHOOK_SECRET_KEY');
  expect(() => vault(key('a')).unseal(sealed, 'another row')).toThrow('WEBHOOK_SECRET_KEY');
  sealed.writeUInt8(sealed.readUInt8(14) ^ 1, 14);
  expect(() => vault(key('a')).unseal(sealed, 'a row')).toThrow('WEBHOOK_SECRET_KEY');
});
