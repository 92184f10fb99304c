import type { Template } from './template.ts';

export const blank: Template = {
  description: 'No accounts: for books that bring a chart of their own',
  accounts: [],
};
