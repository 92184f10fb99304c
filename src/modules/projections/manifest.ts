// Every projection, one line each. `npm run new:projection NAME` adds one.
import { balances } from './balances.ts';
import type { Projection } from './projection.ts';

export const projections: Projection[] = [balances];
