// Routes of blocks, checkpoints, receipts and the keys that sign them.
import { z } from 'zod';
import { Problem } from '../../errors.ts';
import { decodeId, idSchema } from '../../id.ts';
import type { Context } from '../../module.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { callRoute, type Route, readRoute } from '../../route.ts';
import { findBlock, listBlocks } from './blocks.ts';
import { ProofSchema, proveChain, proveTenant } from './proof.ts';
import { findReceipt } from './receipts.ts';
import {
  BlockSchema,
  CheckpointSchema,
  ReceiptSchema,
  renderBlock,
  renderPublicKey,
  SigningKeySchema,
} from './schema.ts';
import { findSigner, type SigningKeys } from './signing_keys.ts';
import { ChainProofSchema } from './verification.ts';

const permission = { action: 'read', subject: 'proof' } as const;

export function proofsRoutes({ database, logger }: Context, keys: () => SigningKeys): Route[] {
  return [
    readRoute({
      method: 'get',
      path: '/v1/blocks',
      operation_id: 'listBlocks',
      summary: 'List blocks',
      description: 'The blocks that are closed over the log about once a second, newest first.',
      tag: 'Proof',
      permission,
      query: PageQuerySchema,
      responses: { 200: pageSchema(BlockSchema) },
      problems: ['cursor_invalid', 'cursor_mismatch'],
      async handler(tx, { query, url }) {
        const page = pageRequest('blocks', query, z.int().positive());
        return pageReply(
          'blocks',
          { query, url },
          await listBlocks(tx, page),
          ({ number }) => number,
          renderBlock,
        );
      },
    }),
    readRoute({
      method: 'get',
      path: '/v1/blocks/{block}',
      operation_id: 'findBlock',
      summary: 'Read a block',
      description: 'By its number or by its hash.',
      tag: 'Proof',
      permission,
      params: z.object({ block: z.string().meta({ description: 'Number, or hash in hex', example: '1' }) }),
      responses: { 200: BlockSchema },
      problems: ['not_found'],
      handler: async (tx, { params }) => ({
        status: 200,
        body: renderBlock(await findBlock(tx, params.block)),
      }),
    }),
    readRoute({
      method: 'get',
      path: '/v1/checkpoint',
      operation_id: 'exportCheckpoint',
      summary: 'Export a checkpoint',
      description:
        'The last block with its signature, to be kept where whoever runs the database cannot reach it: `lattice verify --checkpoint FILE` ' +
        'then finds every change to what was recorded before.',
      tag: 'Proof',
      permission,
      responses: { 200: CheckpointSchema },
      problems: ['not_found', 'signing_key_unknown'],
      async handler(tx) {
        const [row] = await listBlocks(tx, { row_limit: 1, after: null });
        if (row === undefined) throw new Problem('not_found', 'No block has been closed yet');
        return {
          status: 200,
          body: {
            format: 'lattice-checkpoint-1',
            block: renderBlock(row),
            public_key: renderPublicKey(findSigner(keys(), row)),
          },
        };
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/transactions/{transaction}/receipt',
      operation_id: 'findReceipt',
      summary: 'Get the receipt of a transaction',
      description:
        'Proves that the transaction is in the log, to anybody who trusts the public key: `lattice verify-receipt FILE` needs nothing else. Keep the ' +
        'answer as it is, byte for byte. Waits a few seconds for the block that covers a transaction that was just recorded.',
      tag: 'Proof',
      permission,
      params: z.object({ transaction: idSchema('transaction') }),
      responses: { 200: ReceiptSchema },
      problems: ['not_found', 'transaction_not_sealed', 'signing_key_unknown'],
      async handler({ principal, params }) {
        const id = decodeId('transaction', params.transaction, '#/path/transaction');
        return { status: 200, body: await findReceipt(database, keys(), principal.tenant_id, id) };
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/signing_keys',
      operation_id: 'listSigningKeys',
      summary: 'List the keys that sign blocks',
      description:
        'The one that signs first, then those whose signatures still count. All tenants share them.',
      tag: 'Proof',
      permission,
      responses: { 200: z.object({ data: z.array(SigningKeySchema) }) },
      problems: [],
      async handler() {
        const data = keys().all.map((key, index) => ({
          key_id: key.key_id.toString('hex'),
          algorithm: 'ed25519',
          public_key: renderPublicKey(key),
          status: index === 0 ? 'active' : 'former',
        }));
        return { status: 200, body: { data } };
      },
    }),
    callRoute({
      method: 'get',
      path: '/v1/proof',
      operation_id: 'prove',
      summary: 'Prove that debits equal credits and that nothing was touched',
      description:
        'Recounts every entry: debits equal credits per currency, the log is dense, and each projection equals what entries and events come ' +
        'to. At the same time hashes every sealed event with its entries anew and compares with the signed blocks (`chain`). Each says the ' +
        'position that it was checked at. Takes some 8 seconds of processor time for each million entries, up to 30 where most are backdated, under invoices and dimensions, while posting goes on. If money does not add ' +
        'up, the postings of the tenant are halted and `halted` is true; a projection that only answers questions about the past halts nothing. ' +
        "A platform key proves the platform's own log.",
      tag: 'Proof',
      permission,
      responses: { 200: ProofSchema },
      problems: [],
      handler: async ({ principal }) => ({
        status: 200,
        body: await proveTenant(database, logger, keys(), principal),
      }),
    }),
    callRoute({
      method: 'get',
      path: '/v1/proof/chain',
      operation_id: 'proveChain',
      summary: 'Verify that the log is as it was sealed',
      description:
        'Hashes every sealed event with its entries anew, and compares with the blocks, their chain and their signatures. Takes some 6 seconds ' +
        'for each million events, while posting goes on. Each finding names its positions.',
      tag: 'Proof',
      permission,
      responses: { 200: ChainProofSchema },
      problems: [],
      async handler({ principal }) {
        const { tenant_id, actor_id, request_id } = principal;
        const actor = { tenant_id, actor_id, request_id };
        return { status: 200, body: await proveChain(database, logger, keys(), actor) };
      },
    }),
  ];
}
