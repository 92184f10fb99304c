// The keys that sign: what is refused, and that a rotation with overlap leaves nothing that cannot be verified.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../../src/config.ts';
import {
  BlockSchema,
  ProofSchema,
  parsePublicKeys,
  readSigningKeys,
  verifyCheckpoint,
  verifyReceipt,
} from '../../../src/modules/proofs/index.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { startProcess } from '../../support/process.ts';
import { startServer } from '../../support/server.ts';

function aDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'lattice-keys-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

function aKeyPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    private_pem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    public_pem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

const KeysSchema = z.object({ data: z.array(z.looseObject({ key_id: z.string(), public_key: z.string() })) });
const ReceiptSchema = z.looseObject({ block: BlockSchema });

test('a rotation with overlap: both processes know both keys, and the former key goes without a trace of doubt', async () => {
  const directory = aDirectory();
  const [old_key, new_key] = [aKeyPair(), aKeyPair()];
  const bundle = (name: string, ...pems: string[]) => {
    writeFileSync(join(directory, name), pems.join(''), { mode: 0o600 });
    return { LATTICE_SIGNING_KEYS: join(directory, name), LOG_LEVEL: 'silent' };
  };
  const tenant = await aTenant();
  async function sealOne(server: { client: (api_key: string) => ReturnType<typeof first.client> }) {
    const api = server.client(tenant.api_key);
    const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
    const receipt = await api.get(`/v1/transactions/${id}/receipt`);
    return { id, text: receipt.text, signed_by: receipt.as(ReceiptSchema).block.key_id };
  }
  const proofOf = async (server: typeof first) =>
    (await server.client(tenant.api_key).get('/v1/proof')).as(ProofSchema);

  // First everybody learns the new key, while the old one signs.
  const first = await startServer(bundle('overlap.pem', old_key.private_pem, new_key.public_pem));
  const api = first.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  const before = await sealOne(first);
  const checkpoint = (await api.get('/v1/checkpoint')).text;
  const [old_id, new_id] = (await api.get('/v1/signing_keys'))
    .as(KeysSchema)
    .data.map(({ key_id }) => key_id);
  expect(before.signed_by).toBe(old_id);

  // Then the new one signs, while a process with the old one is still there.
  const second = await startServer(bundle('rotated.pem', new_key.private_pem, old_key.public_pem));
  expect((await proofOf(second)).chain).toMatchObject({ ok: true });
  await first.close();
  const after = await sealOne(second);
  expect(after.signed_by).toBe(new_id);
  expect(await proofOf(second)).toMatchObject({ ok: true, chain: { ok: true } });

  // The old private key is gone with its file; what it signed is as good as before.
  rmSync(join(directory, 'overlap.pem'));
  const listed = await second.client(tenant.api_key).get('/v1/signing_keys');
  const trusted = listed.as(KeysSchema).data.flatMap(({ public_key }) => parsePublicKeys(public_key));
  expect(verifyCheckpoint(checkpoint, trusted).key_id).toBe(old_id);
  for (const { id, text } of [before, after]) {
    expect(verifyReceipt(text, trusted, null).event.subject).toBe(id);
  }
  const again = await second.client(tenant.api_key).get(`/v1/transactions/${before.id}/receipt`);
  expect(again.text).toBe(before.text);

  // Who forgets the old key is told which blocks are without one.
  await second.close();
  const forgetful = await startServer(bundle('forgetful.pem', new_key.private_pem));
  const { chain } = await proofOf(forgetful);
  expect(chain.ok).toBe(false);
  expect(chain.findings[0]).toMatchObject({
    position: 1,
    block: 1,
    what: `the key ${old_id}, which signed the block, is not known here`,
  });
  await forgetful.close();
});

test('a receipt and a checkpoint whose key is not known are refused by name, and not to be asked for again', async () => {
  const directory = aDirectory();
  const serve = (name: string) => {
    writeFileSync(join(directory, name), aKeyPair().private_pem, { mode: 0o600 });
    return startServer({ LATTICE_SIGNING_KEYS: join(directory, name), LOG_LEVEL: 'silent' });
  };
  const tenant = await aTenant();
  const former = await serve('former.pem');
  const api = former.client(tenant.api_key);
  const { id: debit } = await anAccount(api, { type: 'asset' });
  const { id } = await aTransaction(api, { debit, credit: (await anAccount(api)).id });
  const receipt_path = `/v1/transactions/${id}/receipt`;
  const issued = await api.get(receipt_path);
  const { key_id } = issued.as(ReceiptSchema).block;
  await former.close();
  const forgetful = await serve('new.pem');
  for (const path of [receipt_path, '/v1/checkpoint']) {
    const refused = await forgetful.client(tenant.api_key).get(path);
    expect(refused.body).toMatchObject({
      code: 'signing_key_unknown',
      status: 503,
      retryable: false,
      detail: expect.stringMatching(`^The key ${key_id}, which signed block [0-9]+, is not known here$`),
    });
  }
  await forgetful.close();
});

test('a file that is not a bundle of keys is refused, with its name and what is wrong with it', () => {
  const path = join(aDirectory(), 'keys.pem');
  const { public_pem, private_pem } = aKeyPair();
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const rsa_pem = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const read = (text: string, NODE_ENV = 'test') => {
    writeFileSync(path, text);
    return readSigningKeys(readConfig({ NODE_ENV, LATTICE_SIGNING_KEYS: path }));
  };
  expect(() => read('')).toThrow(`${path} is not usable: it begins with the PEM of the private key`);
  expect(() => read('not a key')).toThrow('it begins with the PEM of the private key');
  expect(() => read(public_pem)).toThrow('it begins with the PEM of the private key');
  expect(() => read(rsa_pem)).toThrow('it is not an Ed25519 key');
  expect(() => read(private_pem + rsa_pem)).toThrow('it is not an Ed25519 key');
  expect(() => read(private_pem.replace(/\n.{20}/, '\n'))).toThrow(`${path} is not usable`);
  expect(read(private_pem + public_pem).all).toHaveLength(2);
});

test('in production a process without keys does not start, makes none, and says what it lacks', async () => {
  const production = { NODE_ENV: 'production' };
  await expect(startProcess({ ...production, LATTICE_SIGNING_KEYS: '' })).rejects.toThrow(
    'production needs LATTICE_SIGNING_KEYS',
  );
  const missing = join(aDirectory(), 'signing_keys.pem');
  await expect(startProcess({ ...production, LATTICE_SIGNING_KEYS: missing })).rejects.toThrow(
    `there are no signing keys at ${missing}`,
  );
});
