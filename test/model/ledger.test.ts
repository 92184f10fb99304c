// The model itself, on examples worked by hand from the contract. What these say is what the product is compared with.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seed } from '../support/dice.ts';
import { type Command, ReferenceApi } from './api.ts';
import { balanceOf, statementOf, totalsOf } from './balances.ts';
import { instantText } from './instant.ts';

const start = 1_800_000_000_000_000n;
const second = 1_000_000n;

/** A model with a clock that the test moves, and an account of each kind that the examples need. */
class Bench {
  readonly api = new ReferenceApi(
    new Map([
      ['EUR', 2],
      ['JPY', 0],
    ]),
  );
  now = start;
  position = 0;

  constructor() {
    this.does({ verb: 'create_account', body: { code: 'bank', type: 'asset', currency: 'EUR' } });
    this.does({
      verb: 'create_account',
      body: { code: 'alice', type: 'liability', currency: 'EUR', limits: { available_min: '0' } },
    });
    this.does({
      verb: 'create_account',
      body: { code: 'bob', type: 'liability', currency: 'EUR', limits: { posted_max: '500' } },
    });
    this.does({ verb: 'create_account', body: { code: 'yen', type: 'asset', currency: 'JPY' } });
  }

  /** What becomes of a command: the id of what it wrote, or the code of its refusal. */
  does(command: Command): string {
    const outcome = this.api.decide(command, this.now);
    if (outcome.kind === 'refused') return outcome.refusal.code;
    if (outcome.kind === 'bulk') throw new Error('not here');
    this.position += 1;
    const id = outcome.effect.kind === 'void' ? outcome.effect.hold_id : `${command.verb} ${this.position}`;
    this.api.record(outcome.effect, { id, position: this.position, recorded_at: this.now });
    return id;
  }

  pays(from: string, to: string, amount: string, more: Record<string, unknown> = {}): string {
    const entries = [
      { account: from, direction: 'debit', amount },
      { account: to, direction: 'credit', amount },
    ];
    return this.does({ verb: 'post', body: { entries, ...more } });
  }

  balance(code: string, as_of: bigint | null = null, known_at: bigint | null = null) {
    const account = this.api.ledger.account(code);
    if (account === undefined) throw new Error(code);
    const view = { now: this.now, as_of, known_at: known_at === null ? null : { instant: known_at } };
    const { balance, out, in: incoming, available } = balanceOf(this.api.ledger, account, view);
    return [balance, out, incoming, available];
  }
}

test('money held is not available, neither where it leaves nor where it goes', () => {
  const bench = new Bench();
  bench.pays('bank', 'alice', '100');
  bench.pays('alice', 'bob', '60', { status: 'pending' });
  expect(bench.balance('alice')).toEqual([100n, 60n, 0n, 40n]);
  expect(bench.balance('bob')).toEqual([0n, 0n, 60n, 0n]);
  expect(bench.pays('alice', 'bob', '41')).toBe('insufficient_funds');
  expect(bench.pays('alice', 'bob', '40')).toBe('post 7');
});

test('a hold is captured in parts, and a final capture gives back the rest', () => {
  const bench = new Bench();
  bench.pays('bank', 'alice', '100');
  const hold = bench.pays('alice', 'bob', '60', { status: 'pending' });
  const capture = (body: unknown) => bench.does({ verb: 'capture', transaction: hold, body });
  expect(capture({ amount: '61' })).toBe('capture_exceeds_hold');
  expect(capture({ amount: '20' })).toBe('capture 7');
  expect(bench.balance('alice')).toEqual([80n, 40n, 0n, 40n]);
  expect(capture({ amount: '41' })).toBe('capture_exceeds_hold');
  expect(capture({ amount: '10', final: true })).toBe('capture 8');
  expect(bench.balance('alice')).toEqual([70n, 0n, 0n, 70n]);
  expect(capture({ amount: '1' })).toBe('transaction_not_pending');
  expect(bench.does({ verb: 'reverse', transaction: hold, body: {} })).toBe('transaction_not_posted');
});

test('a hold counts until the microsecond in which it expires', () => {
  const bench = new Bench();
  bench.pays('bank', 'alice', '100');
  const expires_at = instantText(start + second);
  const hold = bench.pays('alice', 'bob', '100', { status: 'pending', expires_at });
  bench.now = start + second - 1n;
  expect(bench.pays('alice', 'bob', '1')).toBe('insufficient_funds');
  bench.now = start + second;
  expect(bench.does({ verb: 'void', transaction: hold, body: {} })).toBe('transaction_not_pending');
  expect(bench.balance('alice')).toEqual([100n, 0n, 0n, 100n]);
  expect(bench.pays('bank', 'alice', '1', { status: 'pending', expires_at })).toBe('expiry_in_past');
  expect(bench.pays('alice', 'bob', '100')).toBe('post 7');
});

test('a reversal runs down what is left, and only once', () => {
  const bench = new Bench();
  const payment = bench.pays('bank', 'bob', '100');
  const reverse = (body: unknown) => bench.does({ verb: 'reverse', transaction: payment, body });
  expect(reverse({ amount: '30' })).toBe('reverse 6');
  expect(reverse({ amount: '71' })).toBe('reversal_exceeds_transaction');
  expect(reverse({})).toBe('reverse 7');
  expect(reverse({})).toBe('already_reversed');
  expect(bench.balance('bob')).toEqual([0n, 0n, 0n, 0n]);
});

test('a reversal by entries runs down each account and side, and the rest is what none has taken', () => {
  const bench = new Bench();
  const legs = (direction: 'debit' | 'credit', ...rest: [string, 'debit' | 'credit', string][]) =>
    [['bank', direction, '100'] as const, ...rest].map(([account, side, amount]) => ({
      account,
      direction: side,
      amount,
    }));
  const payment = bench.does({
    verb: 'post',
    body: { entries: legs('debit', ['alice', 'credit', '70'], ['bob', 'credit', '30']) },
  });
  const reverse = (body: unknown) => bench.does({ verb: 'reverse', transaction: payment, body });
  const back = (account: string, amount: string) => [
    { account: 'bank', direction: 'credit', amount },
    { account, direction: 'debit', amount },
  ];
  expect(reverse({ amount: '30' })).toBe('entries_required');
  expect(reverse({ amount: '30', entries: back('bob', '30') })).toBe('invalid_request');
  expect(reverse({ entries: back('nobody', '30') })).toBe('account_not_found');
  expect(reverse({ entries: legs('credit', ['bob', 'debit', '30']) })).toBe('entries_unbalanced');
  expect(reverse({ entries: back('bob', '31') })).toBe('reversal_exceeds_transaction');
  expect(reverse({ entries: back('bob', '10') })).toBe('reverse 6');
  expect(reverse({ entries: back('bob', '21') })).toBe('reversal_exceeds_transaction');
  expect(reverse({ entries: back('alice', '70') })).toBe('reverse 7');
  expect(bench.balance('bob')).toEqual([20n, 0n, 0n, 20n]);
  expect(reverse({})).toBe('reverse 8');
  expect(reverse({})).toBe('already_reversed');
  expect(bench.balance('bob')).toEqual([0n, 0n, 0n, 0n]);
});

test('force passes limits, and nothing else', () => {
  const bench = new Bench();
  const payment = bench.pays('bank', 'alice', '100');
  bench.pays('alice', 'bob', '100');
  const reverse = (body: unknown) => bench.does({ verb: 'reverse', transaction: payment, body });
  expect(reverse({})).toBe('insufficient_funds');
  bench.does({ verb: 'close_account', account: 'bank' });
  expect(reverse({ force: true })).toBe('account_closed');
  bench.does({ verb: 'reopen_account', account: 'bank' });
  expect(reverse({ force: true })).toBe('reverse 9');
  expect(bench.balance('alice')).toEqual([-100n, 0n, 0n, -100n]);
  expect(bench.pays('bank', 'alice', '10')).toBe('post 10');
});

test('refusals come in the documented order', () => {
  const bench = new Bench();
  const leg = (account: string, direction: string, amount: string, more = {}) => ({
    account,
    direction,
    amount,
    ...more,
  });
  const post = (entries: unknown[], more = {}) => bench.does({ verb: 'post', body: { entries, ...more } });
  const nobody = leg('nobody', 'debit', '1');
  const yen_mismatch = leg('yen', 'credit', '1', { currency: 'EUR' });
  expect(post([nobody, yen_mismatch, leg('bank', 'credit', '0')])).toBe('invalid_request');
  expect(post([nobody, yen_mismatch])).toBe('account_not_found');
  expect(post([leg('bank', 'debit', '1'), yen_mismatch])).toBe('currency_mismatch');
  bench.does({ verb: 'close_account', account: 'bank' });
  expect(post([leg('bank', 'debit', '1'), leg('bank', 'credit', '2')])).toBe('entries_unbalanced');
  expect(post([leg('bank', 'debit', '1'), leg('bank', 'credit', '1')])).toBe('accounts_must_differ');
  const most = '9'.repeat(38);
  const past = { status: 'pending', expires_at: instantText(start) };
  const large = (account: string) => [
    leg(account, 'debit', most),
    leg(account, 'debit', '1'),
    leg('alice', 'credit', most),
    leg('alice', 'credit', '1'),
  ];
  expect(post(large('bank'))).toBe('account_closed');
  expect(post(large('bob'), past)).toBe('amount_too_large');
  bench.does({ verb: 'reopen_account', account: 'bank' });
  bench.pays('bank', 'bob', '1', { reference: 'r' });
  expect(bench.pays('alice', 'bob', '501', { ...past, reference: 'r' })).toBe('expiry_in_past');
  expect(bench.pays('alice', 'bob', '501', { reference: 'r' })).toBe('reference_taken');
  expect(bench.pays('alice', 'bob', '501')).toBe('insufficient_funds');
  expect(bench.pays('bank', 'bob', '500')).toBe('limit_exceeded');
});

test('the past is seen on two axes', () => {
  const bench = new Bench();
  bench.pays('bank', 'bob', '10', { effective_at: instantText(start - 10n * second) });
  bench.now = start + second;
  bench.pays('bank', 'bob', '20', { effective_at: instantText(start - 5n * second) });
  bench.pays('bank', 'bob', '40', { effective_at: instantText(start + 100n * second) });
  const posted = (as_of: bigint | null, known_at: bigint | null) => bench.balance('bob', as_of, known_at)[0];
  expect(posted(null, null)).toBe(70n);
  expect(posted(start - 10n * second, null)).toBe(10n);
  expect(posted(start - 10n * second - 1n, null)).toBe(0n);
  expect(posted(start, null)).toBe(30n);
  expect(posted(null, start)).toBe(10n);
  expect(posted(start - 5n * second, start)).toBe(10n);
  expect(posted(start + 100n * second, start + second)).toBe(70n);
});

test('items of a bulk request see one another in order', () => {
  const bench = new Bench();
  const item = (from: string, to: string, amount: string) => ({
    entries: [
      { account: from, direction: 'debit', amount },
      { account: to, direction: 'credit', amount },
    ],
  });
  const decide = (atomic: boolean) => {
    const transactions = [item('bank', 'alice', '5'), item('alice', 'bob', '5'), item('alice', 'bob', '1')];
    return bench.api.decide({ verb: 'bulk', body: { atomic, transactions } }, bench.now);
  };
  expect(decide(true)).toMatchObject({
    kind: 'refused',
    refusal: { code: 'insufficient_funds', extras: { index: 2 } },
  });
  expect(decide(false)).toMatchObject({
    status: 200,
    items: [{ kind: 'accepted' }, { kind: 'accepted' }, { kind: 'refused' }],
  });
});

test(`running totals equal a recount, and each currency stays balanced (seed ${seed})`, () => {
  const codes = ['bank', 'alice', 'bob'];
  const move = fc.record({
    from: fc.constantFrom(...codes),
    to: fc.constantFrom(...codes),
    amount: fc.integer({ min: 1, max: 300 }),
    action: fc.constantFrom('post', 'hold', 'capture', 'void', 'reverse'),
    of: fc.nat(),
    passes_seconds: fc.constantFrom(0n, 0n, 1n, 3n),
  });
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const bench = new Bench();
      const written = ['nothing'];
      for (const { from, to, amount, action, of, passes_seconds } of moves) {
        bench.now += passes_seconds * second;
        const transaction = written[of % written.length] ?? 'nothing';
        const body = action === 'void' ? {} : { amount: amount.toString() };
        const expires_at = instantText(bench.now + 2n * second);
        const pending = action === 'hold' ? { status: 'pending', expires_at } : {};
        const done =
          action === 'post' || action === 'hold'
            ? bench.pays(from, to, amount.toString(), pending)
            : bench.does({
                verb: action === 'capture' ? 'capture' : action === 'void' ? 'void' : 'reverse',
                transaction,
                body,
              });
        if (done.includes(' ')) written.push(done);
      }
      const { ledger } = bench.api;
      const view = { now: bench.now, as_of: null, known_at: null };
      for (const account of ledger.accounts.values()) {
        const { balance, out } = balanceOf(ledger, account, view);
        expect(ledger.posted(account.id)).toBe(balance);
        expect(ledger.heldOut(account.id, bench.now)).toBe(out);
        expect(statementOf(ledger, account).at(-1)?.balance ?? 0n).toBe(balance);
      }
      for (const { debits, credits } of totalsOf(ledger, view).values()) expect(debits).toBe(credits);
    }),
    { seed, numRuns: 200 },
  );
});
