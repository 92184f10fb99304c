// Routes of the proof.
import type { Context } from '../../module.ts';
import { callRoute, type Route, writeRoute } from '../../route.ts';
import { ProofSchema, prove, resumePostings } from './proof.ts';

export function proofRoutes({ database, logger }: Pick<Context, 'database' | 'logger'>): Route[] {
  return [
    callRoute({
      method: 'get',
      path: '/v1/proof',
      operation_id: 'prove',
      summary: 'Recount the ledger',
      description:
        'Recounts every entry on one snapshot: debits equal credits per currency, the log is dense, and each projection of balances equals ' +
        'what its entries come to. Takes about a second and a half for each million entries, while posting goes on. If money does not add ' +
        'up, the postings of the tenant are halted and `halted` is true.',
      tag: 'Proof',
      permission: { action: 'read', subject: 'proof' },
      responses: { 200: ProofSchema },
      problems: [],
      handler: async ({ principal }) => ({
        status: 200,
        body: await prove(database, logger, principal),
      }),
    }),
    writeRoute({
      method: 'post',
      path: '/v1/proof/resumption',
      operation_id: 'resumePostings',
      summary: 'Let halted postings go on',
      description: 'Recounts first, and refuses while money does not add up.',
      tag: 'Proof',
      permission: { action: 'update', subject: 'proof' },
      responses: { 200: ProofSchema },
      problems: ['ledger_not_halted', 'ledger_not_proved'],
      handler: async (tx) => ({ status: 200, body: await resumePostings(tx) }),
    }),
  ];
}
