// What signs the calls: rotations with an overlap, and public keys.
import { createPublicKey, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  aClient,
  anEndpoint,
  CreatedSchema,
  posted_only,
  twoAccounts,
} from '../../modules/webhooks/hooks.ts';
import { aReceiver, headersOf, type Received } from '../../modules/webhooks/receiver.ts';
import { aTransaction } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';
import { waitFor } from '../../support/wait.ts';

const server = await startServer();

/** The versions of those signatures of a call that verify with a public key (`whpk_…`), which the official library cannot. */
function verified(call: Received, public_key: unknown): string[] {
  const [, public_text = ''] = /^whpk_(.+)$/.exec(String(public_key)) ?? [];
  const x = Buffer.from(public_text, 'base64').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const headers = headersOf(call);
  const content = Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${call.text}`);
  return String(headers['webhook-signature'])
    .split(' ')
    .map((signature) => signature.split(','))
    .filter(([, bytes = '']) => verify(null, content, key, Buffer.from(bytes, 'base64')))
    .map(([version]) => String(version));
}

test('during a rotation each call is signed with both secrets, and after it with the new one', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { id, secret: old_secret } = await anEndpoint(api, receiver, posted_only);
  const rotation = `/v1/webhook_endpoints/${id}/secret_rotation`;
  const { secret } = (await api.post(rotation, { overlap_seconds: 3600 })).as(CreatedSchema);
  expect(secret).not.toBe(old_secret);
  await aTransaction(api, accounts);
  const during = await waitFor('a call', () => receiver.received[0]);
  for (const each of [old_secret, secret]) {
    new Webhook(z.string().parse(each)).verify(during.text, headersOf(during));
  }
  const newest = (await api.post(rotation, { overlap_seconds: 0 })).as(CreatedSchema);
  expect(newest.signing).toHaveLength(1);
  await aTransaction(api, accounts);
  const after = await waitFor('a second call', () => receiver.received[1]);
  new Webhook(z.string().parse(newest.secret)).verify(after.text, headersOf(after));
  expect(() => new Webhook(z.string().parse(secret)).verify(after.text, headersOf(after))).toThrow();
});

test('an ed25519 endpoint has a public key and no secret, and its signatures verify', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const { secret, signing } = await anEndpoint(api, receiver, { ...posted_only, algorithm: 'ed25519' });
  expect(secret).toBe(null);
  await aTransaction(api, accounts);
  const call = await waitFor('a call', () => receiver.received[0]);
  const key = signing[0]?.public_key;
  expect(verified(call, key)).toEqual(['v1a']);
  expect(verified({ ...call, text: `${call.text} ` }, key)).toEqual([]);
});

test('a rotation keeps the algorithm unless it names another, and ed25519 goes on verifying with public keys', async () => {
  const api = await aClient(server);
  const receiver = await aReceiver();
  const accounts = await twoAccounts(api);
  const made = await anEndpoint(api, receiver, { ...posted_only, algorithm: 'ed25519' });
  const rotate = async (body: unknown) =>
    (await api.post(`/v1/webhook_endpoints/${made.id}/secret_rotation`, body)).as(CreatedSchema);
  const rotated = await rotate({});
  expect(rotated.secret).toBe(null);
  expect(rotated.signing.map(({ algorithm }) => algorithm)).toEqual(['ed25519', 'ed25519']);
  await aTransaction(api, accounts);
  const during = await waitFor('a call', () => receiver.received[0]);
  const keys = [made, rotated].map(({ signing }) => signing[0]?.public_key);
  expect(new Set(keys).size).toBe(2);
  for (const key of keys) expect(verified(during, key)).toEqual(['v1a']);

  const changed = await rotate({ algorithm: 'hmac', overlap_seconds: 0 });
  expect(changed.signing.map(({ algorithm }) => algorithm)).toEqual(['hmac']);
  const kept = await rotate({ overlap_seconds: 0 });
  await aTransaction(api, accounts);
  const after = await waitFor('a second call', () => receiver.received[1]);
  new Webhook(z.string().parse(kept.secret)).verify(after.text, headersOf(after));
  for (const key of keys) expect(verified(after, key)).toEqual([]);
});
