// What an onboarding template is: the accounts that a kind of business starts with, all in the tenant's currency.
// Customers, merchants and loans get accounts of their own under these, as they come: `customers:alice`, `liabilities:merchants:42`.

export interface TemplateAccount {
  code: string;
  name: string;
  type: 'asset' | 'liability' | 'equity' | 'revenue' | 'expense';
}

export interface Template {
  description: string;
  accounts: readonly TemplateAccount[];
}
