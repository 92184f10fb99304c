// Every projection, one line each. `npm run new:projection NAME` adds one.
import { balances } from './balances.ts';
import { balances_daily } from './balances_daily.ts';
import { invoices } from './invoices.ts';
import type { Projection } from './projection.ts';
import { reports } from './reports.ts';

export const projections: Projection[] = [balances, balances_daily, invoices, reports];
