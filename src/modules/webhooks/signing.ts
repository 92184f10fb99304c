// Signatures by the Standard Webhooks spec: over `<webhook-id>.<webhook-timestamp>.<body>`, `v1` with HMAC-SHA-256, `v1a` with Ed25519.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
import {
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import type { Algorithm } from './schema.ts';

/** the spec asks for 24 to 64 */
const hmac_secret_bytes = 32;

/** A new secret: what is sealed, and what the receiver verifies with. */
export function newSecret(algorithm: Algorithm): {
  secret: Buffer;
  /** shown once */
  shown: string | null;
  public_key: string | null;
} {
  if (algorithm === 'hmac') {
    const secret = randomBytes(hmac_secret_bytes);
    return { secret, shown: `whsec_${secret.toString('base64')}`, public_key: null };
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const { x } = publicKey.export({ format: 'jwk' });
  if (x === undefined) throw new Error('an Ed25519 key has no x');
  return {
    secret: privateKey.export({ format: 'der', type: 'pkcs8' }),
    shown: null,
    public_key: `whpk_${Buffer.from(x, 'base64url').toString('base64')}`,
  };
}

export type Signer = { algorithm: 'hmac'; key: Buffer } | { algorithm: 'ed25519'; key: KeyObject };

export function createSigner(algorithm: Algorithm, secret: Buffer): Signer {
  if (algorithm === 'hmac') return { algorithm, key: secret };
  return { algorithm, key: createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' }) };
}

/** The three headers; during a rotation one signature of each secret, the newest first. */
export function signedHeaders(
  message: { id: string; sent_at_ms: number; body: string },
  signers: Signer[],
): Record<string, string> {
  const timestamp = String(Math.floor(message.sent_at_ms / 1_000));
  const content = `${message.id}.${timestamp}.${message.body}`;
  const signatures = signers.map((signer) =>
    signer.algorithm === 'hmac'
      ? `v1,${createHmac('sha256', signer.key).update(content).digest('base64')}`
      : `v1a,${sign(null, Buffer.from(content), signer.key).toString('base64')}`,
  );
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
