// A tenant that lives: something in every place where a tenant can keep something, each with a word of its own in it.
import { z } from 'zod';
import { encodeId, newUuid } from '../../src/id.ts';
import type { Client } from './client.ts';
import { aDeadLetter, anAccount, aTenant, aTransaction } from './factories.ts';

/** What names one thing in a path, by the path's parameter; several where a thing has several names. */
export type Names = Record<string, string[]>;

export interface Inhabitant {
  /** uuid */
  tenant_id: string;
  client: Client;
  names: Names;
  account_code: string;
  reference: string;
  idempotency_key: string;
}

const CreatedSchema = z.looseObject({ id: z.string() });

/** `word`: 8 letters and digits */
export async function anInhabitant(connect: (api_key: string) => Client, word: string): Promise<Inhabitant> {
  const tenant = await aTenant({ name: `Company ${word}`, slug: `company-${word}` });
  const client = connect(tenant.api_key);
  const alice = await anAccount(client, {
    code: `customers:${word}`,
    name: `Alice ${word}`,
    metadata: { [`order_${word}`]: `value ${word}` },
  });
  const bob = await anAccount(client, { code: `customers:bob-${word}` });
  const reference = `ref-${word}`;
  const posted = await aTransaction(client, {
    debit: alice.id,
    credit: bob.id,
    reference,
    description: `for ${word}`,
    metadata: { [`order_${word}`]: `value ${word}` },
  });
  const hold = await aTransaction(client, {
    debit: alice.id,
    credit: bob.id,
    status: 'pending',
    description: word,
  });
  const idempotency_key = `key-${word}`;
  const key = await client.post(
    '/v1/keys',
    { name: `Key ${word}`, role: 'auditor' },
    { key: idempotency_key },
  );
  const currency = word.toUpperCase();
  await client.post('/v1/assets', { currency, scale: 2, name: `Points ${word}` });
  const endpoint = await client.post('/v1/webhook_endpoints', {
    // Nobody listens there: its deliveries stay.
    url: `http://127.0.0.1:9/${word}`,
    description: `Hooks of ${word}`,
  });
  const endpoint_id = endpoint.as(CreatedSchema).id;
  const replay = { after: 0, up_to: 1 };
  await client.post(`/v1/webhook_endpoints/${endpoint_id}/replay`, replay);
  const deliveries = await client.get(`/v1/webhook_endpoints/${endpoint_id}/deliveries`);
  const [delivery] = deliveries.as(z.looseObject({ data: z.array(CreatedSchema) })).data;
  return {
    tenant_id: tenant.id,
    client,
    account_code: alice.code,
    reference,
    idempotency_key,
    names: {
      account: [alice.id, alice.code],
      transaction: [posted.id, hold.id],
      key: [key.as(CreatedSchema).id],
      currency: [currency],
      tenant: [encodeId('tenant', tenant.id)],
      block: [await aBlock(client, hold.id)],
      webhook_endpoint: [endpoint_id],
      dead_letter: [await aDeadLetter(tenant.actor, { reason: `of ${word}` })],
      webhook_delivery: delivery === undefined ? [] : [delivery.id],
    },
  };
}

/** Names of the same form that nobody has. */
export const nobody: Names = {
  account: [encodeId('account', newUuid()), 'customers:nobody00'],
  transaction: [encodeId('transaction', newUuid()), encodeId('transaction', newUuid())],
  key: [encodeId('key', newUuid())],
  currency: ['NOBODY00'],
  tenant: [encodeId('tenant', newUuid())],
  block: ['0'.repeat(64)],
  webhook_endpoint: [encodeId('webhook', newUuid())],
  webhook_delivery: [encodeId('delivery', newUuid())],
  dead_letter: [encodeId('dead_letter', newUuid())],
};

/** The hash of the block over a transaction, once it is closed. */
async function aBlock(client: Client, transaction: string): Promise<string> {
  const receipt = await client.get(`/v1/transactions/${transaction}/receipt`);
  return receipt.as(z.looseObject({ block: z.looseObject({ hash: z.string() }) })).block.hash;
}
