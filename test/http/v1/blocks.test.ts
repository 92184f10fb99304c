// Blocks, checkpoints, receipts and signing keys over HTTP, and GET /v1/proof/chain.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { parsePublicKeys, verifyCheckpoint, verifyReceipt } from '../../../src/modules/proofs/index.ts';
import { NotGenuine } from '../../../src/modules/proofs/offline.ts';
import { BlockSchema, ReceiptSchema } from '../../../src/modules/proofs/schema.ts';
import { parseSigningKeys } from '../../../src/modules/proofs/signing_keys.ts';
import { randomBooks } from '../../modules/ledger/random_books.ts';
import type { Client } from '../../support/client.ts';
import { asSuperuser, databaseUrl } from '../../support/database.ts';
import { anAccount, aTenant, aTransaction } from '../../support/factories.ts';
import { signing_keys_path, startServer } from '../../support/server.ts';

const server = await startServer({ LOG_LEVEL: 'silent' });
const trusted = parseSigningKeys(readFileSync(signing_keys_path, 'utf8')).all;
const ListSchema = z.looseObject({ data: z.array(BlockSchema) });

async function books() {
  const tenant = await aTenant();
  const api = server.client(tenant.api_key);
  await anAccount(api, { code: 'cash', type: 'asset' });
  await anAccount(api, { code: 'alice' });
  return { tenant, api };
}

async function receiptOf(api: Client, id: string) {
  const answer = await api.get(`/v1/transactions/${id}/receipt`);
  return { text: answer.text, receipt: answer.as(ReceiptSchema) };
}

test('every transaction of a random past has a receipt that holds offline, and the chain holds', async () => {
  const api = server.client((await aTenant()).api_key);
  await randomBooks(api, 11, 60);
  const IdsSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) });
  const { data } = (await api.get('/v1/transactions?limit=200')).as(IdsSchema);
  expect(data.length).toBeGreaterThan(60);
  for (const { id } of data) {
    const { text, receipt } = await receiptOf(api, id);
    expect(receipt.event.subject).toBe(id);
    expect(verifyReceipt(text, trusted, receipt.block.tenant_id).event.subject).toBe(id);
  }
  const proof = await api.get('/v1/proof/chain');
  expect(proof.body).toMatchObject({ ok: true, finding_count: 0, findings: [] });
});

test('blocks follow one another from the first position, each found by number and by hash', async () => {
  const { api } = await books();
  for (let count = 0; count < 3; count += 1) {
    const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
    await receiptOf(api, id);
  }
  const blocks = (await api.get('/v1/blocks')).as(ListSchema).data.toReversed();
  expect(blocks.length).toBeGreaterThan(1);
  let before = { number: 0, last_position: 0, hash: '0'.repeat(64) };
  for (const block of blocks) {
    expect(block).toMatchObject({
      number: before.number + 1,
      first_position: before.last_position + 1,
      previous_hash: before.hash,
    });
    expect((await api.get(`/v1/blocks/${block.number}`)).body).toEqual(block);
    expect((await api.get(`/v1/blocks/${block.hash}`)).body).toEqual(block);
    before = block;
  }
  const page = (await api.get('/v1/blocks?limit=1')).as(ListSchema.extend({ next_cursor: z.string() }));
  const next = await api.get(`/v1/blocks?limit=1&cursor=${page.next_cursor}`);
  expect([...page.data, ...next.as(ListSchema).data]).toEqual(blocks.toReversed().slice(0, 2));
  const [fingerprint] = JSON.parse(Buffer.from(page.next_cursor, 'base64url').toString());
  for (const number of [-1, 0, 0.5, 2 ** 60]) {
    const forged = Buffer.from(JSON.stringify([fingerprint, number])).toString('base64url');
    expect((await api.get(`/v1/blocks?limit=1&cursor=${forged}`)).body).toMatchObject({
      code: 'cursor_invalid',
    });
  }
  for (const missing of ['999', '0', 'x', 'f'.repeat(64)]) {
    expect((await api.get(`/v1/blocks/${missing}`)).status).toBe(404);
  }
});

test('a checkpoint is the last block, signed by a key that is listed', async () => {
  const { api } = await books();
  const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
  await receiptOf(api, id);
  const checkpoint = await api.get('/v1/checkpoint');
  const [last] = (await api.get('/v1/blocks?limit=1')).as(ListSchema).data;
  expect(verifyCheckpoint(checkpoint.text, trusted)).toEqual(last);
  const KeysSchema = z.object({
    data: z.array(z.object({ public_key: z.string(), status: z.string() }).loose()),
  });
  const keys = (await api.get('/v1/signing_keys')).as(KeysSchema).data;
  expect(keys.map(({ status }) => status)).toEqual(['active']);
  const listed = keys.flatMap(({ public_key }) => parsePublicKeys(public_key));
  expect(verifyCheckpoint(checkpoint.text, listed).number).toBe(last?.number);
});

test('a receipt is refused when any byte of it is another, when bytes are added, or when it is of another tenant', async () => {
  const [ours, theirs] = [await books(), await books()];
  const hold = {
    debit: 'cash',
    credit: 'alice',
    status: 'pending',
    expires_in_seconds: 3_600,
    description: 'für',
  };
  const { text, receipt } = await receiptOf(ours.api, (await aTransaction(ours.api, hold)).id);
  const other = await receiptOf(theirs.api, (await aTransaction(theirs.api, hold)).id);
  const { tenant_id } = receipt.block;
  expect(verifyReceipt(text, trusted, tenant_id)).toEqual(receipt);
  expect(verifyReceipt(`${text}\n`, trusted, null)).toEqual(receipt);

  const bytes = Buffer.from(text);
  for (const [index, byte] of bytes.entries()) {
    for (const changed of [byte ^ 1, byte ^ 0x20]) {
      const altered = Buffer.from(bytes);
      altered[index] = changed;
      expect(() => verifyReceipt(altered.toString(), trusted, null), `byte ${index}`).toThrow(NotGenuine);
    }
  }
  for (const altered of [
    `${text} `,
    ` ${text}`,
    text.slice(0, -1),
    JSON.stringify(receipt, null, 2),
    '',
    '[]',
  ]) {
    expect(() => verifyReceipt(altered, trusted, null)).toThrow(NotGenuine);
  }
  expect(() => verifyReceipt(other.text, trusted, tenant_id)).toThrow(`not of ${tenant_id}`);
  const moved = text.replaceAll(tenant_id, other.receipt.block.tenant_id);
  expect(() => verifyReceipt(moved, trusted, null)).toThrow('the signature is not of this block');
  const mixed = JSON.stringify({ ...receipt, block: other.receipt.block });
  expect(() => verifyReceipt(mixed, trusted, null)).toThrow('the transaction is not in the block');
  expect(() => verifyReceipt(text, [], null)).toThrow('which is not one that you trust');
  expect((await theirs.api.get(`/v1/transactions/${receipt.event.subject}/receipt`)).status).toBe(404);
});

test('a transaction that no block covers yet is said to be so, and may be asked for again', async () => {
  const { tenant, api } = await books();
  await asSuperuser(
    z.unknown(),
    `insert into log.consumer (tenant_id, name, position, recorded_at, moved_at, attempts, parked_at, reason)
     values ($1, 'blocks', 0, '-infinity', now(), 1, now(), 'stopped by a test')
     on conflict (tenant_id, name) do update set attempts = 1, parked_at = now(), reason = 'stopped by a test'`,
    [tenant.id],
  );
  const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
  const answer = await api.get(`/v1/transactions/${id}/receipt`);
  expect(answer.body).toMatchObject({ code: 'transaction_not_sealed', status: 409, retryable: true });
});

test('while blocks are being closed, each answer is of closed ones, and each proof holds', async () => {
  const { api } = await books();
  let is_posting = true;
  async function post() {
    for (let round = 0; round < 3; round += 1) {
      const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
      await receiptOf(api, id);
    }
    is_posting = false;
  }
  const posting = post();
  let looks = 0;
  for (; is_posting || looks === 0; looks += 1) {
    const { data } = (await api.get('/v1/blocks')).as(ListSchema);
    for (const [index, block] of data.entries()) {
      const before = data[index + 1];
      expect(block.number).toBe((before?.number ?? 0) + 1);
      expect(block.first_position).toBe((before?.last_position ?? 0) + 1);
    }
    if (data.length > 0) {
      const checkpoint = verifyCheckpoint((await api.get('/v1/checkpoint')).text, trusted);
      expect(checkpoint.number).toBeGreaterThanOrEqual(data.length);
    }
    expect((await api.get('/v1/proof')).body).toMatchObject({ ok: true, chain: { ok: true } });
  }
  await posting;
  expect((await api.get('/v1/blocks')).as(ListSchema).data.length).toBeGreaterThan(2);
});

test('of an event that somebody deletes nothing is said but that it is missing, however many blocks there are', async () => {
  const { tenant, api } = await books();
  const positions: number[] = [];
  for (let count = 0; count < 3; count += 1) {
    const { id, position } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
    await receiptOf(api, id);
    positions.push(position);
  }
  const [, position] = positions;
  await asSuperuser(z.unknown(), 'delete from log.event where tenant_id = $1 and position = $2', [
    tenant.id,
    position,
  ]);
  expect((await api.get('/v1/proof/chain')).body).toMatchObject({
    ok: false,
    findings: [
      { position, up_to_position: position, what: 'the event is missing, and entries of it are there' },
    ],
  });
});

test('functions that somebody leaves in the database, and lets the role search first, are not asked', async () => {
  const { tenant, api } = await books();
  const { id } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
  await receiptOf(api, id);
  const database_name = new URL(databaseUrl('lattice_app')).pathname.slice(1);
  for (const step of [
    'create schema mine',
    "create function mine.sha256(bytea) returns bytea language sql return pg_catalog.sha256('mine')",
    'grant usage on schema mine to lattice_app',
    `alter role lattice_app in database "${database_name}" set search_path = mine, pg_catalog`,
  ]) {
    await asSuperuser(z.unknown(), step);
  }
  const second = await startServer({ LOG_LEVEL: 'silent' });
  const proof = await second.client(tenant.api_key).get('/v1/proof');
  expect(proof.body).toMatchObject({ ok: true, chain: { ok: true } });
});

test('an event that somebody changes is named by its position', async () => {
  const { tenant, api } = await books();
  const { id, position } = await aTransaction(api, { debit: 'cash', credit: 'alice' });
  const { receipt } = await receiptOf(api, id);
  await asSuperuser(
    z.unknown(),
    'update ledger.entry set amount = amount * 10 where tenant_id = $1 and position = $2',
    [tenant.id, position],
  );
  expect((await api.get('/v1/proof/chain')).body).toMatchObject({
    ok: false,
    finding_count: 1,
    findings: [
      {
        position,
        up_to_position: position,
        block: receipt.block.number,
        what: 'the event or its entries are not as they were sealed',
      },
    ],
  });
});
