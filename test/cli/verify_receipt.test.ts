// `verify-receipt` offline, and `verify --checkpoint`.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { platform_tenant_id } from '../../src/db.ts';
import { encodeId } from '../../src/id.ts';
import { commandLines } from '../support/command_lines.ts';
import { asSuperuser } from '../support/database.ts';
import { anAccount, aPlatformKey, aTenant, aTransaction } from '../support/factories.ts';
import { signing_keys_path, startServer } from '../support/server.ts';

const server = await startServer();
const lattice = commandLines();
const ReceiptSchema = z.looseObject({
  public_key: z.string(),
  block: z.looseObject({ tenant_id: z.string() }),
});

async function issued() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  const cash = await anAccount(api, { type: 'asset' });
  const { id } = await aTransaction(api, {
    debit: cash.id,
    credit: (await anAccount(api)).id,
    amount: '123456',
  });
  const answer = await api.get(`/v1/transactions/${id}/receipt`);
  const checkpoint = await api.get('/v1/checkpoint');
  const directory = mkdtempSync(join(tmpdir(), 'lattice-receipt-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const keep = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const { public_key, block } = answer.as(ReceiptSchema);
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: tenant.api_key };
  return {
    tenant,
    id,
    text: answer.text,
    checkpoint: checkpoint.text,
    keep,
    public_key,
    tenant_id: block.tenant_id,
    environment,
  };
}

const CheckpointSchema = z.looseObject({
  block: z.looseObject({ number: z.number(), last_position: z.number() }),
});

test('a receipt is genuine for who trusts its key, and refused altered, or as of another tenant', async () => {
  const { id, text, keep, public_key, tenant_id } = await issued();
  const check = (file: string, ...words: string[]) =>
    lattice(['verify-receipt', file, '--public-key', public_key, ...words]);
  const genuine = await check(keep('receipt.json', text), '--tenant', tenant_id);
  expect(genuine).toMatchObject({ status: 0, stderr: '' });
  expect(genuine.stdout).toContain(`genuine  ${id} of ${tenant_id}`);
  const altered = await check(keep('altered.json', text.replace('123456', '123457')));
  expect(altered.status).toBe(1);
  expect(altered.stdout).toContain('NOT GENUINE');
  const other = await check(keep('other.json', text), '--tenant', 'ten_01h455vb4pex5vsknk084sn02q');
  expect(other.stdout).toContain('not of ten_01h455vb4pex5vsknk084sn02q');
});

test('a receipt is genuine for each of the keys of a PEM, whichever comes first, and for none of another', async () => {
  const { id, text, keep } = await issued();
  const receipt = keep('receipt.json', text);
  const signing_pem = readFileSync(signing_keys_path, 'utf8');
  const pair = generateKeyPairSync('ed25519');
  const other_private = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const other_public = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString();
  const check = (...pems: string[]) =>
    lattice(['verify-receipt', receipt, '--public-key', keep('keys.pem', pems.join(''))]);
  const signing_public = createPublicKey(signing_pem).export({ format: 'pem', type: 'spki' }).toString();
  for (const pems of [
    [signing_pem, other_public],
    [other_private, signing_public],
    [other_public, signing_public],
  ]) {
    expect((await check(...pems)).stdout).toMatch(new RegExp(`^genuine  ${id} of`));
  }
  expect((await check(other_private, other_public)).stdout).toContain('not one that you trust');
});

test('a checkpoint is still in the chain, or verify says that it is not', async () => {
  const { tenant, checkpoint, keep, environment } = await issued();
  const file = keep('checkpoint.json', checkpoint);
  const { block } = CheckpointSchema.parse(JSON.parse(checkpoint));
  const compared = `  compared with the checkpoint of block ${block.number}, up to position ${block.last_position}: `;
  const held = await lattice(['verify', '--checkpoint', file], environment);
  expect([held.status, held.stdout]).toEqual([0, expect.stringContaining(`${compared}still in the chain\n`)]);
  const json = await lattice(['verify', '--checkpoint', file, '--json'], environment);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: true,
    checkpoint: { block: block.number, position: block.last_position, ok: true },
  });
  await asSuperuser(z.unknown(), 'delete from proofs.block where tenant_id = $1', [tenant.id]);
  const cut = await lattice(['verify', '--checkpoint', file], environment);
  expect(cut.status).toBe(1);
  expect(cut.stdout).toContain('the block of the checkpoint is missing');
  expect(cut.stdout).toContain(`${compared}NOT IN THE CHAIN\n`);
});

test('a checkpoint of another tenant is said to be so, and is no finding about the chain', async () => {
  const { checkpoint, keep, tenant_id } = await issued();
  const file = keep('checkpoint.json', checkpoint);
  const other = await aTenant();
  const platform = { LATTICE_URL: server.url, LATTICE_PLATFORM_KEY: await aPlatformKey() };
  for (const [words, environment, id] of [
    [[], { LATTICE_URL: server.url, LATTICE_API_KEY: other.api_key }, other.id],
    [['--platform'], platform, platform_tenant_id],
  ] as const) {
    const { status, stdout, stderr } = await lattice(['verify', '--checkpoint', file, ...words], environment);
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      `lattice: the checkpoint is of another tenant, ${tenant_id}: the key is of ${encodeId('tenant', id)}\n`,
    ]);
  }
});

test('a file that is not there, or is none, is named in one line', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lattice-receipt-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const environment = { LATTICE_URL: server.url, LATTICE_API_KEY: (await aTenant()).api_key };
  const missing = join(directory, 'missing.json');
  const key = Buffer.alloc(32).toString('base64');
  for (const words of [
    ['verify-receipt', '--public-key', key],
    ['verify', '--checkpoint'],
  ]) {
    const none = await lattice([...words, missing], environment);
    expect([none.status, none.stdout, none.stderr]).toEqual([
      1,
      '',
      `lattice: there is no file ${missing}\n`,
    ]);
    const folder = await lattice([...words, directory], environment);
    expect([folder.status, folder.stderr]).toEqual([1, `lattice: ${directory} is a directory, not a file\n`]);
  }
});
