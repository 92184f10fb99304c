// Random commands, drawn so that they meet: few accounts with tight limits, few references, expiries close by, and now and then a request that
// is wrong in one way. An intent names things by number; `requests.ts` makes a request of it when its turn comes.
import fc from 'fast-check';

export type Fault =
  | 'none'
  | 'unbalanced'
  | 'account_unknown'
  | 'id_unknown'
  | 'currency_wrong'
  | 'amount_zero'
  | 'amount_negative'
  | 'amount_number'
  | 'amount_39_digits'
  | 'field_unknown'
  | 'one_entry'
  | 'total_39_digits'
  | 'direction_unknown';

export interface Leg {
  from: number;
  /** how many accounts further the money goes; 0 is the same account */
  hop: number;
  amount: string;
}

/** An instant relative to something; `of` counts transactions back from the newest. */
export type Moment =
  | { relative_to: 'now'; offset_us: number }
  | { relative_to: 'effective_at' | 'recorded_at'; of: number; offset_us: number };

export type Expiry = { in_seconds: number } | { at_offset_us: number } | 'both' | null;

/** How much of what is left: nothing said, a share of it, or more than it. */
export type Part = 'unsaid' | { percent: number } | 'one_more';

export interface PostIntent {
  does: 'post';
  group: number;
  legs: Leg[];
  /** legs in a second currency, for an exchange */
  exchange: Leg | null;
  pending: boolean;
  expiry: Expiry;
  effective: Moment | null;
  reference: number | null;
  fault: Fault;
  by_id: boolean;
  currency_said: boolean;
  order: string | null;
}

/** How a part is said: as an amount, as entries that share it, or as one debit and one credit among several. */
export type Saying = 'amount' | 'all_entries' | 'two_entries';

export type Target = { of: number; kind: 'pending' | 'hold' | 'posted' | 'any' | 'unknown' };

export type ItemIntent =
  | PostIntent
  | {
      does: 'capture';
      target: Target;
      part: Part;
      saying: Saying;
      final: boolean;
      effective: Moment | null;
      reference: number | null;
    }
  | { does: 'void'; target: Target }
  | {
      does: 'reverse';
      target: Target;
      part: Part;
      saying: Saying;
      force: boolean;
      effective: Moment | null;
      reference: number | null;
    };

export type Intent =
  | { does: 'item'; item: ItemIntent; dry_run: boolean }
  | {
      does: 'bulk';
      items: { item: ItemIntent; key: number | null }[];
      atomic: boolean | null;
      dry_run: boolean;
    }
  | { does: 'close' | 'reopen'; account: number }
  | { does: 'limit'; account: number; available_min: string | null; posted_max: string | null }
  | { does: 'open'; number: number; currency: string }
  | { does: 'repeat'; of: number; changed: 'nothing' | 'body' | 'path' | 'key' }
  | { does: 'wait' }
  | { does: 'look'; looks: Look[] };

export interface View {
  as_of: Moment | null;
  known_at: Moment | { position_back: number } | null;
}

/** A question to the ledger. */
export type Look =
  | ({ at: 'balance'; account: number } & View)
  | ({ at: 'trial_balance' } & View)
  | { at: 'statement'; account: number; newest_first: boolean; limit: number; from: Moment | null }
  | ({ at: 'roll_up'; prefix: string; group_by: 'currency' | 'type' | 'segment' } & View)
  | { at: 'list'; filter: Filter; limit: number };

export interface Filter {
  account: number | null;
  account_prefix: string | null;
  status: string | null;
  reference: number | null;
  order: string | null;
  effective_from: Moment | null;
  amount_up_to: string | null;
}

const small = fc.integer({ min: 1, max: 120 }).map(String);
const medium = fc.integer({ min: 121, max: 1_500 }).map(String);
const large = fc
  .tuple(fc.integer({ min: 18, max: 36 }), fc.integer({ min: 1, max: 9 }))
  .map(([digits, first]) => `${first}${'0'.repeat(digits - 1)}7`);
const amount = fc.oneof(
  { arbitrary: small, weight: 14 },
  { arbitrary: medium, weight: 2 },
  { arbitrary: large, weight: 1 },
);

const recent = fc.oneof({ arbitrary: fc.nat(3), weight: 3 }, { arbitrary: fc.nat(60), weight: 1 });
const hop = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 5 }), weight: 20 },
  { arbitrary: fc.constant(0), weight: 1 },
);
const leg: fc.Arbitrary<Leg> = fc.record({ from: fc.nat(5), hop, amount });
const legs = fc.oneof(
  { arbitrary: fc.array(leg, { minLength: 1, maxLength: 1 }), weight: 6 },
  { arbitrary: fc.array(leg, { minLength: 2, maxLength: 4 }), weight: 2 },
);

const hour_us = 3_600_000_000;
const offset_us = fc.oneof(
  fc.constantFrom(0, 0, 1, -1),
  fc.integer({ min: -hour_us, max: hour_us }),
  fc.integer({ min: -2_000_000, max: 2_000_000 }),
);
const moment: fc.Arbitrary<Moment> = fc.oneof(
  fc.record({ relative_to: fc.constant('now' as const), offset_us }),
  fc.record({ relative_to: fc.constantFrom('effective_at', 'recorded_at'), of: recent, offset_us }),
);
const effective = fc.option(moment, { freq: 3 });

const expiry: fc.Arbitrary<Expiry> = fc.oneof(
  { arbitrary: fc.constant(null), weight: 4 },
  { arbitrary: fc.record({ in_seconds: fc.constantFrom(1, 1, 3_600) }), weight: 2 },
  { arbitrary: fc.record({ at_offset_us: fc.integer({ min: 5_000, max: 400_000 }) }), weight: 4 },
  { arbitrary: fc.record({ at_offset_us: fc.constantFrom(-1_000_000, 86_400_000_000) }), weight: 1 },
);

const reference = fc.option(fc.nat(24), { freq: 2 });

const fault: fc.Arbitrary<Fault> = fc.oneof(
  { arbitrary: fc.constant('none' as const), weight: 30 },
  {
    arbitrary: fc.constantFrom<Fault>(
      'unbalanced',
      'account_unknown',
      'id_unknown',
      'currency_wrong',
      'total_39_digits',
    ),
    weight: 3,
  },
  {
    arbitrary: fc.constantFrom<Fault>(
      'amount_zero',
      'amount_negative',
      'amount_number',
      'amount_39_digits',
      'field_unknown',
      'one_entry',
      'direction_unknown',
    ),
    weight: 1,
  },
);

const post: fc.Arbitrary<PostIntent> = fc.record({
  does: fc.constant('post' as const),
  group: fc.constantFrom(0, 0, 0, 1, 2),
  legs,
  exchange: fc.option(leg, { freq: 12 }),
  pending: fc.boolean(),
  expiry,
  effective,
  reference,
  fault,
  by_id: fc.boolean(),
  currency_said: fc.boolean(),
  order: fc.option(fc.constantFrom('o_1', 'o_2')),
});

const part: fc.Arbitrary<Part> = fc.oneof(
  { arbitrary: fc.constant('unsaid' as const), weight: 3 },
  { arbitrary: fc.record({ percent: fc.integer({ min: 1, max: 100 }) }), weight: 3 },
  { arbitrary: fc.constant('one_more' as const), weight: 1 },
);
const saying = fc.constantFrom<Saying>('amount', 'amount', 'all_entries', 'two_entries');
const target = (kind: Target['kind']): fc.Arbitrary<Target> =>
  fc.oneof(
    { arbitrary: fc.record({ of: recent, kind: fc.constant(kind) }), weight: 12 },
    {
      arbitrary: fc.record({ of: recent, kind: fc.constantFrom('hold', 'hold', 'any', 'unknown') }),
      weight: 1,
    },
  );

const item: fc.Arbitrary<ItemIntent> = fc.oneof(
  { arbitrary: post, weight: 10 },
  {
    arbitrary: fc.record({
      does: fc.constant('capture' as const),
      target: target('pending'),
      part,
      saying,
      final: fc.boolean(),
      effective,
      reference,
    }),
    weight: 5,
  },
  { arbitrary: fc.record({ does: fc.constant('void' as const), target: target('pending') }), weight: 2 },
  {
    arbitrary: fc.record({
      does: fc.constant('reverse' as const),
      target: target('posted'),
      part,
      saying,
      force: fc.boolean(),
      effective,
      reference,
    }),
    weight: 3,
  },
);

const limit = fc.constantFrom(null, '0', '-100', '50', '500');
const rarely = fc.integer({ min: 0, max: 7 }).map((n) => n === 7);
const view = {
  as_of: fc.option(moment, { freq: 2 }),
  known_at: fc.option(fc.oneof(moment, fc.record({ position_back: fc.nat(40) })), { freq: 2 }),
};
const limit_of_page = fc.constantFrom(3, 50);
const prefix = fc.constantFrom('', 'c', 'customers:', 'jp:', 'opened:');
const look: fc.Arbitrary<Look> = fc.oneof(
  { arbitrary: fc.record({ at: fc.constant('balance' as const), account: fc.nat(20), ...view }), weight: 8 },
  { arbitrary: fc.record({ at: fc.constant('trial_balance' as const), ...view }), weight: 2 },
  {
    arbitrary: fc.record({
      at: fc.constant('statement' as const),
      account: fc.nat(20),
      newest_first: fc.boolean(),
      limit: limit_of_page,
      from: fc.option(moment, { freq: 2 }),
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      at: fc.constant('roll_up' as const),
      prefix,
      group_by: fc.constantFrom('currency', 'type', 'segment'),
      ...view,
    }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      at: fc.constant('list' as const),
      limit: limit_of_page,
      filter: fc.record({
        account: fc.option(fc.nat(20), { freq: 2 }),
        account_prefix: fc.option(prefix, { freq: 2 }),
        status: fc.option(fc.constantFrom('pending', 'posted', 'voided', 'expired'), { freq: 2 }),
        reference: fc.option(fc.nat(24), { freq: 1 }),
        order: fc.option(fc.constantFrom('o_1', 'o_2'), { freq: 1 }),
        effective_from: fc.option(moment, { freq: 2 }),
        amount_up_to: fc.option(small, { freq: 1 }),
      }),
    }),
    weight: 2,
  },
);

const intent: fc.Arbitrary<Intent> = fc.oneof(
  { arbitrary: fc.record({ does: fc.constant('item' as const), item, dry_run: rarely }), weight: 30 },
  {
    arbitrary: fc.record({
      does: fc.constant('bulk' as const),
      items: fc.array(fc.record({ item, key: fc.option(fc.nat(30), { freq: 2 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      atomic: fc.constantFrom(true, false, null),
      dry_run: rarely,
    }),
    weight: 4,
  },
  {
    arbitrary: fc.record({ does: fc.constantFrom('close', 'reopen', 'reopen'), account: fc.nat(20) }),
    weight: 2,
  },
  {
    arbitrary: fc.record({
      does: fc.constant('limit' as const),
      account: fc.nat(20),
      available_min: limit,
      posted_max: limit,
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      does: fc.constant('open' as const),
      number: fc.nat(4),
      currency: fc.constantFrom('EUR', 'JPY', 'XQQ'),
    }),
    weight: 1,
  },
  {
    arbitrary: fc.record({
      does: fc.constant('repeat' as const),
      of: recent,
      changed: fc.constantFrom('nothing', 'nothing', 'body', 'path', 'key', 'key'),
    }),
    weight: 3,
  },
  { arbitrary: fc.record({ does: fc.constant('wait' as const) }), weight: 1 },
  {
    arbitrary: fc.record({
      does: fc.constant('look' as const),
      looks: fc.array(look, { minLength: 1, maxLength: 4 }),
    }),
    weight: 8,
  },
);

export const intents = fc.array(intent, { minLength: 1, maxLength: 100, size: 'max' });
