// Balances as far as they have been carried forward; readers add the entries after that.
import type { Consumer } from '../../consumer.ts';
import { type Database, queries } from '../../db.ts';
import { statementConsumer } from '../log/index.ts';

const sql = queries(import.meta.url, 'balances_apply');

export function balancesConsumer(database: Database): Consumer {
  return statementConsumer(database, sql.balances_apply, {
    name: 'balances',
    description:
      'Carries balances forward, so that a read counts few entries; reads are exact however far it is',
    // A slice costs about as much as it does for a hundred positions more, so twenty tenants at once had better wait for some.
    rest_ms: 200,
  });
}
