export { listAccountPositions } from './account_positions.ts';
export { ledgerModule } from './module.ts';
export { ProofSchema, prove } from './proof.ts';
export { touchedAccounts } from './touched_accounts.ts';
