// The route of a ledger that was halted.
import { type Route, writeRoute } from '../../route.ts';
import { RecountSchema, resumePostings } from './proof.ts';

export const proof_routes: Route[] = [
  writeRoute({
    method: 'post',
    path: '/v1/proof/resumption',
    operation_id: 'resumePostings',
    summary: 'Let halted postings go on',
    description: 'Recounts first, and refuses while money does not add up.',
    tag: 'Proof',
    permission: { action: 'update', subject: 'proof' },
    responses: { 200: RecountSchema },
    problems: ['ledger_not_halted', 'ledger_not_proved'],
    handler: async (tx) => ({ status: 200, body: await resumePostings(tx) }),
  }),
];
