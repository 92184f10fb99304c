import type { Template } from './template.ts';

export const wallets: Template = {
  description:
    'Stored value: customers top up, send to each other, pay and withdraw; their money is safeguarded',
  accounts: [
    { code: 'assets:cash:operating', name: 'Operating bank account', type: 'asset' },
    { code: 'assets:cash:safeguarding', name: "Bank account with customers' money", type: 'asset' },
    { code: 'clearing:card_acquirer', name: 'Card top-ups not yet settled', type: 'asset' },
    { code: 'clearing:bank_transfers', name: 'Bank top-ups not yet settled', type: 'asset' },
    { code: 'clearing:withdrawals', name: 'Withdrawals on their way to customers', type: 'asset' },
    { code: 'clearing:card_issuer', name: 'Card payments by customers not yet settled', type: 'liability' },
    { code: 'receivables:customers', name: 'Owed by customers with a negative balance', type: 'asset' },
    { code: 'customers', name: "Customers' money, in accounts below this code", type: 'liability' },
    { code: 'liabilities:merchants', name: 'Owed to merchants', type: 'liability' },
    { code: 'liabilities:dormant', name: 'Dormant balances', type: 'liability' },
    { code: 'liabilities:promotions', name: 'Promotional credit granted, not yet spent', type: 'liability' },
    { code: 'liabilities:taxes', name: 'Taxes collected', type: 'liability' },
    {
      code: 'suspense:unidentified_receipts',
      name: 'Receipts not yet matched to a customer',
      type: 'liability',
    },
    { code: 'equity:opening', name: 'Opening balances', type: 'equity' },
    { code: 'equity:capital', name: 'Paid-in capital', type: 'equity' },
    { code: 'equity:retained_earnings', name: 'Retained earnings', type: 'equity' },
    { code: 'revenue:transfer_fees', name: 'Transfer fees', type: 'revenue' },
    { code: 'revenue:withdrawal_fees', name: 'Withdrawal fees', type: 'revenue' },
    { code: 'revenue:interchange', name: 'Interchange earned on card payments', type: 'revenue' },
    { code: 'revenue:fx_margin', name: 'Margin on currency conversion', type: 'revenue' },
    { code: 'revenue:interest', name: 'Interest on safeguarded money', type: 'revenue' },
    { code: 'expenses:processor_fees', name: 'Processor fees', type: 'expense' },
    { code: 'expenses:bank_fees', name: 'Bank fees', type: 'expense' },
    { code: 'expenses:promotions', name: 'Promotions', type: 'expense' },
    { code: 'losses:chargebacks', name: 'Card top-ups charged back', type: 'expense' },
    { code: 'losses:customers', name: 'Negative balances written off', type: 'expense' },
    { code: 'losses:fraud', name: 'Fraud', type: 'expense' },
  ],
};
