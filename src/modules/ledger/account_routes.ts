// Routes of accounts.
import { z } from 'zod';
import { checkIfMatch, taggedReply } from '../../etag.ts';
import { PageQuerySchema, pageReply, pageRequest, pageSchema } from '../../page.ts';
import { type Route, readRoute, writeRoute } from '../../route.ts';
import {
  AccountParamsSchema,
  AccountPatchSchema,
  AccountRequestSchema,
  AccountSchema,
  AccountStatusSchema,
  AccountTypeSchema,
  CodePrefixSchema,
} from './account_schema.ts';
import {
  closeAccount,
  createAccount,
  findAccount,
  listAccounts,
  lockAccount,
  renderAccount,
  reopenAccount,
  updateAccount,
} from './accounts.ts';

const tag = 'Accounts';
const example = {
  code: 'customers:alice',
  name: 'Alice',
  type: 'liability',
  currency: 'EUR',
  limits: { available_min: '0' },
  metadata: { customer: 'c_1' },
};

const AccountListQuerySchema = PageQuerySchema.extend({
  code_prefix: CodePrefixSchema.optional(),
  type: AccountTypeSchema.optional(),
  currency: z.string().max(12).optional(),
  status: AccountStatusSchema.optional(),
  metadata: z
    .record(z.string().min(1).max(64), z.string().max(500))
    .optional()
    .meta({ description: '`metadata[key]=value`; several must all hold' }),
});

export const account_routes: Route[] = [
  writeRoute({
    method: 'post',
    path: '/v1/accounts',
    operation_id: 'createAccount',
    summary: 'Open an account',
    description:
      'Its code, type and currency never change. Several accounts may be opened before the first posting.',
    tag,
    permission: { action: 'create', subject: 'account' },
    body: AccountRequestSchema,
    example,
    responses: { 201: AccountSchema },
    tagged: true,
    problems: ['currency_unknown', 'account_code_taken'],
    handler: async (tx, input) => taggedReply(201, await createAccount(tx, input.body)),
  }),
  readRoute({
    method: 'get',
    path: '/v1/accounts',
    operation_id: 'listAccounts',
    summary: 'List accounts',
    description: 'In the order of their codes, byte by byte. `code_prefix` walks the tree of codes.',
    tag,
    permission: { action: 'read', subject: 'account' },
    query: AccountListQuerySchema,
    responses: { 200: pageSchema(AccountSchema) },
    problems: ['cursor_invalid', 'cursor_mismatch'],
    handler: async (tx, input) => {
      const page = pageRequest('accounts', input.query, z.string());
      const rows = await listAccounts(tx, input.query, page);
      return pageReply('accounts', input, rows, (row) => row.code, renderAccount);
    },
  }),
  readRoute({
    method: 'get',
    path: '/v1/accounts/{account}',
    operation_id: 'findAccount',
    summary: 'Read an account',
    description: 'By id or code. The ETag is for `If-Match` when it is changed.',
    tag,
    permission: { action: 'read', subject: 'account' },
    params: AccountParamsSchema,
    responses: { 200: AccountSchema },
    tagged: true,
    problems: ['not_found'],
    handler: async (tx, input) =>
      taggedReply(200, renderAccount(await findAccount(tx, input.params.account))),
  }),
  writeRoute({
    method: 'patch',
    path: '/v1/accounts/{account}',
    operation_id: 'updateAccount',
    summary: 'Change name, limits or metadata',
    description:
      'A JSON Merge Patch: what is absent stays, `null` removes. A new limit holds for what is posted from then on; it moves no money.',
    tag,
    permission: { action: 'update', subject: 'account' },
    params: AccountParamsSchema,
    body: AccountPatchSchema,
    example: { name: 'Alice B.', limits: { available_min: null } },
    responses: { 200: AccountSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed'],
    handler: async (tx, input) => {
      const account = await lockAccount(tx, input.params.account);
      checkIfMatch(input, renderAccount(account));
      return taggedReply(200, await updateAccount(tx, account, input.body));
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/accounts/{account}/closure',
    operation_id: 'closeAccount',
    summary: 'Close an account',
    description:
      'It then refuses new postings, holds and captures; holds on it may still be voided or expire. It may have a balance: closing moves no money.',
    tag,
    permission: { action: 'update', subject: 'account' },
    params: AccountParamsSchema,
    responses: { 200: AccountSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed', 'account_not_open'],
    handler: async (tx, input) => {
      const account = await lockAccount(tx, input.params.account);
      checkIfMatch(input, renderAccount(account));
      return taggedReply(200, await closeAccount(tx, account));
    },
  }),
  writeRoute({
    method: 'post',
    path: '/v1/accounts/{account}/reopening',
    operation_id: 'reopenAccount',
    summary: 'Reopen an account',
    description: 'It accepts postings again.',
    tag,
    permission: { action: 'update', subject: 'account' },
    params: AccountParamsSchema,
    responses: { 200: AccountSchema },
    tagged: true,
    problems: ['not_found', 'precondition_failed', 'account_not_closed'],
    handler: async (tx, input) => {
      const account = await lockAccount(tx, input.params.account);
      checkIfMatch(input, renderAccount(account));
      return taggedReply(200, await reopenAccount(tx, account));
    },
  }),
];
