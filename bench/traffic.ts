// What the load generator sends: the text of each HTTP request, made ready before the clock starts.
// Codes and amounts have a fixed width, so that one head with one Content-Length serves every body of a tenant.

import type { TenantTraffic, Traffic } from './protocol.ts';

export interface Requests {
  /** the text of the `number`th request */
  next: (number: number) => string;
  /** how many there are, when each is sent once */
  total: number | null;
  status: number;
  /** how many transactions each acknowledges */
  transactions: number;
}

/** The account that every transaction of the hot traffic touches. */
export const hot_account = 'accounts:hot00';

/** Of all tenants together: enough that each of 10,000 accounts is in a dozen of them, however many tenants they are spread over. */
const prepared_bodies = 65_536;

/** Every second account has limits on both sides, far enough away that nothing is refused and near enough to be checked. */
const limits = { available_min: '-1000000000000', posted_max: '1000000000000' };

function accountCode(number: number): string {
  return `accounts:${String(number).padStart(5, '0')}`;
}

function accountBody(code: string, limited: boolean): string {
  return JSON.stringify({ code, type: 'liability', currency: 'EUR', ...(limited ? { limits } : {}) });
}

export function requestsOf(traffic: Traffic): Requests {
  switch (traffic.kind) {
    case 'accounts':
      return accountRequests(traffic.tenants);
    case 'single':
      return singleRequests(traffic.tenants, traffic.hot);
    case 'bulk':
      return bulkRequests(traffic.tenant, traffic.transactions, () => uniformTransaction(traffic.tenant));
    case 'history':
      return bulkRequests(traffic.tenant, traffic.transactions, (item) =>
        historyTransaction(traffic.tenant, item, traffic.days),
      );
    case 'targets':
      return targetRequests(traffic.api_key, traffic.targets);
  }
}

function accountRequests(tenants: TenantTraffic[]): Requests {
  const texts = tenants.flatMap((tenant) => {
    const numbered = Array.from({ length: tenant.accounts }, (_, number) =>
      accountBody(accountCode(number), number % 2 === 0),
    );
    return [...numbered, accountBody(hot_account, true)].map(
      (body, number) =>
        `${head(tenant.api_key, '/v1/accounts', body.length)}account-${number}\r\n\r\n${body}`,
    );
  });
  return { next: (number) => pick(texts, number), total: texts.length, status: 201, transactions: 0 };
}

function singleRequests(tenants: TenantTraffic[], hot: boolean): Requests {
  const run = crypto.randomUUID();
  const prepared = tenants.map((tenant) => {
    const bodies = Array.from({ length: Math.ceil(prepared_bodies / tenants.length) }, (_, number) =>
      hot ? hotTransaction(tenant, number) : uniformTransaction(tenant),
    );
    return { head: head(tenant.api_key, '/v1/transactions', bodyLength(bodies)), bodies };
  });
  return {
    next: (number) => {
      const tenant = pick(prepared, number);
      const body = pick(tenant.bodies, Math.floor(number / prepared.length));
      return `${tenant.head}${run}-${number}\r\n\r\n${body}`;
    },
    total: null,
    status: 201,
    transactions: 1,
  };
}

function bulkRequests(
  tenant: TenantTraffic,
  transactions: number,
  transaction: (item: number) => string,
): Requests {
  const run = crypto.randomUUID();
  const bodies = Array.from({ length: 32 }, (_, request) => {
    const items = Array.from({ length: transactions }, (_, item) =>
      transaction(request * transactions + item),
    );
    const body = `{"atomic":true,"transactions":[${items.join(',')}]}`;
    return { head: head(tenant.api_key, '/v1/transactions/bulk', body.length), body };
  });
  return {
    next: (number) => {
      const { head, body } = pick(bodies, number);
      return `${head}${run}-${number}\r\n\r\n${body}`;
    },
    total: null,
    status: 201,
    transactions,
  };
}

function targetRequests(api_key: string, targets: string[]): Requests {
  const texts = targets.map(
    (target) => `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api_key}\r\n\r\n`,
  );
  return { next: (number) => pick(texts, number), total: null, status: 200, transactions: 0 };
}

/** Everything before the key, which comes last so that only it and the body change. */
function head(api_key: string, path: string, content_length: number): string {
  return (
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${api_key}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${content_length}\r\nIdempotency-Key: `
  );
}

function uniformTransaction(tenant: TenantTraffic): string {
  const debit = random(tenant.accounts);
  const credit = (debit + 1 + random(tenant.accounts - 1)) % tenant.accounts;
  return transactionBody(accountCode(debit), accountCode(credit));
}

/** In and out in turn, so that each of the two limits is what half of the transactions come nearer to. */
function hotTransaction(tenant: TenantTraffic, number: number): string {
  const other = accountCode(random(tenant.accounts));
  return number % 2 === 0 ? transactionBody(other, hot_account) : transactionBody(hot_account, other);
}

/** Every second transaction became effective some day before it was recorded. */
function historyTransaction(tenant: TenantTraffic, item: number, days: number): string {
  const other = accountCode(random(tenant.accounts));
  const plain = transactionBody(other, hot_account);
  if (item % 2 === 0) return plain;
  const effective_at = new Date(Date.now() - random(days * 86_400) * 1000).toISOString();
  return `${plain.slice(0, -1)},"effective_at":"${effective_at}"}`;
}

function transactionBody(debit: string, credit: string): string {
  const amount = 100 + random(900);
  return (
    `{"entries":[{"account":"${debit}","direction":"debit","amount":"${amount}","currency":"EUR"},` +
    `{"account":"${credit}","direction":"credit","amount":"${amount}","currency":"EUR"}]}`
  );
}

function bodyLength(bodies: string[]): number {
  const lengths = new Set(bodies.map((body) => body.length));
  const [length] = lengths;
  if (length === undefined || lengths.size !== 1) throw new Error('the bodies of one head differ in length');
  return length;
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function pick<Item>(items: Item[], number: number): Item {
  const item = items[number % items.length];
  if (item === undefined) throw new Error('there is nothing to pick from');
  return item;
}
