// Signing secrets at rest. They have to be had again to sign with, so they are encrypted with a key that is not in the database: a copy
// of the database signs nothing. (docs/decisions/webhook-secrets.md)
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { Problem } from '../../errors.ts';

const algorithm = 'aes-256-gcm';
const key_bytes = 32;
const nonce_bytes = 12;
const tag_bytes = 16;

export const not_opened = 'a signing secret was kept with a WEBHOOK_SECRET_KEY that is not among those given';

/** Seals and opens; `bound_to` is the row that the secret belongs to, so that it opens nowhere else. */
export class Vault {
  readonly #config: Pick<Config, 'NODE_ENV' | 'LATTICE_DATA_DIR' | 'WEBHOOK_SECRET_KEY'>;
  #keys: [Buffer, ...Buffer[]] | null = null;

  constructor(config: Pick<Config, 'NODE_ENV' | 'LATTICE_DATA_DIR' | 'WEBHOOK_SECRET_KEY'>) {
    this.#config = config;
  }

  /** Errors: `webhooks_not_configured`. */
  seal(secret: Buffer, bound_to: string): Buffer {
    const nonce = randomBytes(nonce_bytes);
    const [key] = this.#open();
    const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(bound_to));
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  }

  /** Throws when none of the keys sealed it. */
  unseal(sealed: Buffer, bound_to: string): Buffer {
    const opened = this.maybeUnseal(sealed, bound_to);
    if (opened === null) throw new Error(not_opened);
    return opened;
  }

  /** Null when none of the keys sealed it. */
  maybeUnseal(sealed: Buffer, bound_to: string): Buffer | null {
    for (const key of this.#open()) {
      const opened = maybeUnseal(key, sealed, bound_to);
      if (opened !== null) return opened;
    }
    return null;
  }

  /** Whether there are former keys, with which something may have been sealed. */
  get hasFormerKeys(): boolean {
    return (this.#config.WEBHOOK_SECRET_KEY?.length ?? 1) > 1;
  }

  /** Whether it is sealed with the key that seals now. */
  isCurrent(sealed: Buffer, bound_to: string): boolean {
    const [key] = this.#open();
    return maybeUnseal(key, sealed, bound_to) !== null;
  }

  /** The keys, as soon as one is needed; in production they are given, elsewhere one is made once. */
  #open(): [Buffer, ...Buffer[]] {
    this.#keys ??= this.#given() ?? [this.#kept()];
    return this.#keys;
  }

  #given(): [Buffer, ...Buffer[]] | null {
    const { NODE_ENV, WEBHOOK_SECRET_KEY } = this.#config;
    const [first, ...former] = (WEBHOOK_SECRET_KEY ?? []).map((text) => Buffer.from(text, 'base64'));
    if (first !== undefined) return [first, ...former];
    if (NODE_ENV !== 'production') return null;
    throw new Problem(
      'webhooks_not_configured',
      'This Lattice has no WEBHOOK_SECRET_KEY to keep signing secrets with; its operator has to give it one',
    );
  }

  #kept(): Buffer {
    const path = join(this.#config.LATTICE_DATA_DIR, 'webhooks.key');
    if (!existsSync(path)) makeKey(this.#config.LATTICE_DATA_DIR, path);
    const key = Buffer.from(readFileSync(path, 'utf8'), 'base64');
    if (key.length !== key_bytes) throw new Error(`${path} does not hold a key of ${key_bytes} bytes`);
    return key;
  }
}

/** null when another key sealed it, or it belongs to something else, or it was altered */
function maybeUnseal(key: Buffer, sealed: Buffer, bound_to: string): Buffer | null {
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonce_bytes));
  decipher.setAAD(Buffer.from(bound_to)).setAuthTag(sealed.subarray(-tag_bytes));
  const opened = decipher.update(sealed.subarray(nonce_bytes, -tag_bytes));
  try {
    return Buffer.concat([opened, decipher.final()]);
  } catch {
    return null;
  }
}

/** Whole or not at all, and of two processes that do it at once the first one's stays. */
function makeKey(directory: string, path: string): void {
  mkdirSync(directory, { recursive: true });
  const unfinished = `${path}.${randomBytes(8).toString('hex')}`;
  writeFileSync(unfinished, `${randomBytes(key_bytes).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(unfinished, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    unlinkSync(unfinished);
  }
}
