import { expect, test } from 'vitest';
import { AccountRequestSchema } from '../../../src/modules/ledger/account_schema.ts';
import { templates } from '../../../src/modules/tenants/templates/index.ts';

const charts = Object.entries(templates).filter(([name]) => name !== 'blank');

test.each(charts)('%s is a chart that can be opened: codes once, in the form of codes', (_, { accounts }) => {
  for (const account of accounts) AccountRequestSchema.parse({ ...account, currency: 'EUR' });
  expect(new Set(accounts.map((account) => account.code)).size).toBe(accounts.length);
});

test.each(charts)('%s has all that double entry needs', (_, { accounts }) => {
  expect(new Set(accounts.map((account) => account.type))).toEqual(
    new Set(['asset', 'liability', 'equity', 'revenue', 'expense']),
  );
  const codes = accounts.map((account) => account.code);
  expect(codes).toEqual(
    expect.arrayContaining([
      'assets:cash:operating',
      'clearing:card_acquirer',
      'equity:opening',
      'expenses:processor_fees',
      'expenses:bank_fees',
      'losses:chargebacks',
      'suspense:unidentified_receipts',
    ]),
  );
});

test('the first segment of a code says the type, apart from what is in transit', () => {
  const types: Record<string, string> = {
    assets: 'asset',
    loans: 'asset',
    receivables: 'asset',
    customers: 'liability',
    liabilities: 'liability',
    suspense: 'liability',
    equity: 'equity',
    revenue: 'revenue',
    expenses: 'expense',
    losses: 'expense',
  };
  const wrong = charts.flatMap(([name, { accounts }]) =>
    accounts
      .filter(({ code, type }) => {
        const segment = code.split(':')[0] ?? '';
        return segment === 'clearing' ? !['asset', 'liability'].includes(type) : types[segment] !== type;
      })
      .map(({ code }) => `${name} ${code}`),
  );
  expect(wrong).toEqual([]);
});

test('the blank template opens no account', () => {
  expect(templates.blank.accounts).toEqual([]);
});
