// The Ed25519 keys that sign blocks. They are kept in a file outside the database, for whoever can write the database must not be able to
// sign: a bundle of PEM blocks, of which the first is the private key that signs, and the others are keys whose signatures still count.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../../config.ts';
import { Problem } from '../../errors.ts';
import { newUuid } from '../../id.ts';
import { sha256 } from './merkle.ts';

const key_id_bytes = 16;

export interface PublicKey {
  key_id: Buffer;
  /** 32 bytes */
  raw: Buffer;
  verifies: (bytes: Buffer, signature: Buffer) => boolean;
}

export interface SigningKeys {
  active: PublicKey & { sign: (bytes: Buffer) => Buffer };
  /** all of them, the active one first */
  all: PublicKey[];
  /** null when its signatures do not count here */
  maybeFind: (key_id: Buffer) => PublicKey | null;
}

/** Keys whose signatures count, without one that signs. */
export type TrustedKeys = Pick<SigningKeys, 'maybeFind'>;

/** The key that signed a block. Errors: `signing_key_unknown`. */
export function findSigner(keys: SigningKeys, block: { key_id: Buffer; number: number }): PublicKey {
  const key = keys.maybeFind(block.key_id);
  if (key !== null) return key;
  throw new Problem(
    'signing_key_unknown',
    `The key ${block.key_id.toString('hex')}, which signed block ${block.number}, is not known here`,
  );
}

const pem_block = /-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g;

/** Reads the bundle that the configuration names; outside production it is made when there is none. */
export function readSigningKeys(config: Config): SigningKeys {
  const given = maybeSigningKeys(config);
  if (given !== null) return given;
  makeSigningKeys(bundlePath(config));
  return readBundle(bundlePath(config));
}

/** For whoever only verifies: the bundle that the configuration names, of which public keys will do. Makes none, which would count for nothing. */
export function readTrustedKeys(config: Config): TrustedKeys {
  requirePath(config);
  const path = bundlePath(config);
  if (!existsSync(path)) {
    throw new Error(`there are no keys at ${path}: LATTICE_SIGNING_KEYS names the file of those that signed`);
  }
  return trusted(reading(path, parsePublicKeys));
}

function trusted(all: PublicKey[]): TrustedKeys {
  return { maybeFind: (key_id) => all.find((key) => key.key_id.equals(key_id)) ?? null };
}

/** Why a process cannot sign with what it is given; null when it can. Makes nothing. */
export function signingKeysRefusal(config: Config): string | null {
  try {
    maybeSigningKeys(config);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Null where there is none yet and one will be made. Throws when what there is will not do. */
export function maybeSigningKeys(config: Config): SigningKeys | null {
  requirePath(config);
  const path = bundlePath(config);
  if (existsSync(path)) return readBundle(path);
  if (config.NODE_ENV === 'production') throw new Error(`there are no signing keys at ${path}`);
  return null;
}

function requirePath(config: Config): void {
  if (config.NODE_ENV === 'production' && config.LATTICE_SIGNING_KEYS === undefined) {
    throw new Error(
      'production needs LATTICE_SIGNING_KEYS: the file of the keys that sign blocks (docs/runbooks/proofs.md)',
    );
  }
}

function bundlePath(config: Config): string {
  return config.LATTICE_SIGNING_KEYS ?? join(config.LATTICE_DATA_DIR, 'signing_keys.pem');
}

function readBundle(path: string): SigningKeys {
  return reading(path, parseSigningKeys);
}

function reading<Keys>(path: string, parse: (text: string) => Keys): Keys {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} is not usable: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

export function parseSigningKeys(bundle: string): SigningKeys {
  const blocks = [...bundle.matchAll(pem_block)].map(([pem, label = 'nothing']) => ({ pem, label }));
  const [first] = blocks;
  if (first === undefined || !first.label.endsWith('PRIVATE KEY')) {
    throw new Error('it begins with the PEM of the private key that signs');
  }
  const private_key = createPrivateKey(first.pem);
  const all = blocks.map(({ pem }) => publicKey(createPublicKey(pem)));
  const [active] = all;
  if (active === undefined) throw new Error('it has no key');
  return {
    active: { ...active, sign: (bytes) => sign(null, bytes, private_key) },
    all,
    ...trusted(all),
  };
}

/** One public key of 32 bytes in Base64, or each of those in a PEM: of a private key there, its public half. */
export function parsePublicKeys(text: string): PublicKey[] {
  const pems = [...text.matchAll(pem_block)].map(([pem]) => pem);
  if (pems.length > 0) return pems.map((pem) => publicKey(createPublicKey(pem)));
  const trimmed = text.trim();
  const raw = Buffer.from(trimmed, 'base64');
  if (raw.length !== 32 || raw.toString('base64') !== trimmed) {
    throw new Error('a public key is 32 bytes in Base64, or PEM');
  }
  const key = { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  return [publicKey(createPublicKey({ key, format: 'jwk' }))];
}

const JwkSchema = z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string() });

function publicKey(key: KeyObject): PublicKey {
  const jwk = JwkSchema.safeParse(key.export({ format: 'jwk' }));
  if (!jwk.success) throw new Error('it is not an Ed25519 key');
  const raw = Buffer.from(jwk.data.x, 'base64url');
  return {
    key_id: sha256(raw).subarray(0, key_id_bytes),
    raw,
    verifies: (bytes, signature) => verify(null, bytes, key, signature),
  };
}

/** A bundle of one new key, for its owner only; whole or not at all, and of two processes that do it at once the first one's stays. */
export function makeSigningKeys(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const { privateKey } = generateKeyPairSync('ed25519');
  const unfinished = `${path}.${newUuid()}`;
  writeFileSync(unfinished, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(unfinished, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    unlinkSync(unfinished);
  }
}
