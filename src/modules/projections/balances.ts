// Balances as far as they have been carried forward; readers add the entries after that.
import { queries } from '../../db.ts';
import type { Projection } from './projection.ts';

const sql = queries(
  import.meta.url,
  'balances_apply',
  'balances_apply_along',
  'balances_recount',
  'balances_state',
);

export const balances: Projection = {
  name: 'balances',
  description:
    'Carries balances forward, so that a read counts few entries; reads are exact however far it is',
  tables: [
    'balances_v',
    'expiring_holds_v',
    'open_holds_v',
    'balance_checkpoints_v',
    'dated_blocks_v',
    'dated_sums_v',
  ],
  // A slice costs about as much as it does for a hundred positions more, and an account that moves twice within it is written once, so
  // posting is left more when slices wait for some.
  within_ms: 930,
  apply: sql.balances_apply,
  takes_along: { names: ['balances_daily', 'reports', 'invoices'], apply: sql.balances_apply_along },
  recount: sql.balances_recount,
  state: sql.balances_state,
};
