export { listAccountPositions } from './account_positions.ts';
export { findAccount } from './accounts.ts';
export { ledgerModule } from './module.ts';
export { DifferenceSchema, prove, RecountSchema } from './proof.ts';
export { touchedAccounts, touchesAccounts } from './touched_accounts.ts';
