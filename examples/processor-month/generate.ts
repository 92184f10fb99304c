// Makes the demo month: what a processor would export for a shop in October 2026, and its own totals beside it. The same bytes on
// every run: `node examples/processor-month/generate.ts` rewrites 2026-10.csv and 2026-10.totals.csv.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const month_start = Date.UTC(2026, 9, 1);
const days_in_month = 31;
const day_ms = 86_400_000;
/** A charge is available after two business days, as on European and American cards. */
const settlement_business_days = 2;

interface Market {
  currency: string;
  /** of all charges */
  share: number;
  /** minor units of the cheapest and the usual dearest basket */
  basket: [number, number];
  /** what a domestic card costs: parts per million, and minor units */
  fee: [number, number];
  /** the same for a card from abroad */
  foreign_fee: [number, number];
  dispute_fee: number;
  /** days of the week with a payout, Sunday is 0 */
  payout_weekdays: number[];
}

const markets: Market[] = [
  {
    currency: 'eur',
    share: 0.84,
    basket: [690, 24_900],
    fee: [15_000, 25],
    foreign_fee: [32_500, 25],
    dispute_fee: 2_000,
    payout_weekdays: [1, 2, 3, 4, 5],
  },
  {
    currency: 'usd',
    share: 0.13,
    basket: [790, 27_900],
    fee: [29_000, 30],
    foreign_fee: [44_000, 30],
    dispute_fee: 1_500,
    payout_weekdays: [1, 4],
  },
  {
    currency: 'jpy',
    share: 0.03,
    basket: [980, 34_800],
    fee: [36_000, 0],
    foreign_fee: [36_000, 0],
    dispute_fee: 1_300,
    payout_weekdays: [5],
  },
];

interface Row {
  id: string;
  type: string;
  reporting_category: string;
  source: string;
  amount: number;
  fee: number;
  currency: string;
  created_ms: number;
  available_ms: number;
  description: string;
  automatic_payout_id: string;
}

/** The export and the totals, as CSV text. */
export function generateMonth(): { export_csv: string; totals_csv: string } {
  const random = mulberry32(20_261_001);
  const rows = markets.flatMap((market) => marketRows(market, random));
  rows.sort((a, b) => a.created_ms - b.created_ms || (a.id < b.id ? -1 : 1));
  return { export_csv: exportCsv(rows), totals_csv: totalsCsv(rows) };
}

function marketRows(market: Market, random: () => number): Row[] {
  const processor = new Processor(market, random);
  const due: { day: number; happen: (created_ms: number) => void }[] = [];
  for (let day = 0; day < days_in_month; day += 1) {
    const midnight = month_start + day * day_ms;
    if (market.currency === 'eur' && day === 15) processor.failLastPayout(midnight + 1_800_000);
    // Payouts leave at night, before the day's business.
    if (market.payout_weekdays.includes(new Date(midnight).getUTCDay())) {
      processor.payOut(midnight + between(random, 3_600, 5_400) * 1_000);
    }
    for (let number = chargesOn(market, day, random); number > 0; number -= 1) {
      const charge = processor.charge(timeOfDay(midnight, random), orderNumber(random));
      const fate = random();
      if (fate < 0.034) {
        const full = random() < 0.7;
        const amount = full ? charge.amount : Math.ceil(charge.amount * (0.1 + random() * 0.6));
        due.push({
          day: day + 1 + Math.floor(random() * 12),
          happen: (at) => processor.refund(at, charge, amount),
        });
      } else if (fate < 0.0385) {
        const disputed_on = day + 4 + Math.floor(random() * 14);
        const won_on = random() < 0.4 ? disputed_on + 5 + Math.floor(random() * 4) : null;
        due.push({
          day: disputed_on,
          happen: (at) => {
            const dispute = processor.dispute(at, charge);
            if (won_on !== null) due.push({ day: won_on, happen: (on) => processor.winDispute(on, dispute) });
          },
        });
      }
    }
    for (const event of due.filter((each) => each.day === day)) event.happen(timeOfDay(midnight, random));
    if (day % 7 === 6) processor.chargeNetworkCosts(midnight + 82_800_000);
  }
  return processor.rows;
}

/** The processor's side of one currency: what it has taken, what it holds and what it has paid out. */
class Processor {
  readonly rows: Row[] = [];
  readonly #market: Market;
  readonly #random: () => number;
  #unpaid: Row[] = [];
  #charges_since_costs = 0;

  constructor(market: Market, random: () => number) {
    this.#market = market;
    this.#random = random;
  }

  charge(created_ms: number, order: string): Row {
    const amount = basketAmount(this.#market, this.#random);
    const [rate_ppm, fixed] = this.#random() < 0.18 ? this.#market.foreign_fee : this.#market.fee;
    this.#charges_since_costs += 1;
    return this.#move({
      type: 'charge',
      reporting_category: 'charge',
      source: this.#id('ch'),
      amount,
      fee: Math.round((amount * rate_ppm) / 1_000_000) + fixed,
      created_ms,
      available_ms: businessDaysAfter(created_ms, settlement_business_days),
      description: `Order ${order}`,
    });
  }

  refund(created_ms: number, charge: Row, amount: number): void {
    this.#move({
      type: 'refund',
      reporting_category: 'refund',
      source: this.#id('re'),
      amount: -amount,
      fee: 0,
      created_ms,
      available_ms: created_ms,
      description: `REFUND FOR CHARGE (${charge.description})`,
    });
  }

  dispute(created_ms: number, charge: Row): Row {
    return this.#move({
      type: 'adjustment',
      reporting_category: 'dispute',
      source: this.#id('dp'),
      amount: -charge.amount,
      fee: this.#market.dispute_fee,
      created_ms,
      available_ms: created_ms,
      description: `Chargeback withdrawal for ${charge.source}`,
    });
  }

  /** The amount and the fee come back. */
  winDispute(created_ms: number, dispute: Row): void {
    this.#move({
      type: 'adjustment',
      reporting_category: 'dispute_reversal',
      source: dispute.source,
      amount: -dispute.amount,
      fee: -dispute.fee,
      created_ms,
      available_ms: created_ms,
      description: dispute.description.replace('withdrawal', 'reversal'),
    });
  }

  chargeNetworkCosts(created_ms: number): void {
    const amount = this.#charges_since_costs * 2;
    this.#charges_since_costs = 0;
    if (amount === 0) return;
    this.#move({
      type: 'network_cost',
      reporting_category: 'network_cost',
      source: '',
      amount: -amount,
      fee: 0,
      created_ms,
      available_ms: created_ms,
      description: 'Card network costs of the week',
    });
  }

  /** Pays out everything that is available; nothing while that is not above zero. */
  payOut(created_ms: number): void {
    const settled = this.#unpaid.filter((row) => row.available_ms <= created_ms);
    const amount = settled.reduce((sum, row) => sum + row.amount - row.fee, 0);
    if (amount <= 0) return;
    const payout_id = this.#id('po');
    for (const row of settled) row.automatic_payout_id = payout_id;
    this.#unpaid = this.#unpaid.filter((row) => row.available_ms > created_ms);
    this.rows.push({
      id: this.#id('txn'),
      type: 'payout',
      reporting_category: 'payout',
      source: payout_id,
      amount: -amount,
      fee: 0,
      currency: this.#market.currency,
      created_ms,
      available_ms: businessDaysAfter(created_ms, 1),
      description: 'PROCESSOR PAYOUT',
      automatic_payout_id: payout_id,
    });
  }

  /** The bank sends the last payout back; its money goes out again with the next one. */
  failLastPayout(created_ms: number): void {
    const payout = this.rows.findLast((row) => row.type === 'payout');
    if (payout === undefined) throw new Error('nothing has been paid out yet');
    this.#move({
      type: 'payout_failure',
      reporting_category: 'payout_reversal',
      source: payout.source,
      amount: -payout.amount,
      fee: 0,
      created_ms,
      available_ms: created_ms,
      description: `Payout ${payout.source} returned by the bank: account number closed`,
    });
  }

  #move(row: Omit<Row, 'id' | 'currency' | 'automatic_payout_id'>): Row {
    const moved = {
      id: this.#id('txn'),
      currency: this.#market.currency,
      automatic_payout_id: '',
      ...row,
    };
    this.rows.push(moved);
    this.#unpaid.push(moved);
    return moved;
  }

  #id(prefix: string): string {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
    const text = Array.from({ length: 20 }, () =>
      letters.charAt(Math.floor(this.#random() * letters.length)),
    );
    return `${prefix}_3Q${text.join('')}`;
  }
}

/** More at the weekend's edges and towards the end of the month, as a shop sees it. */
function chargesOn(market: Market, day: number, random: () => number): number {
  const weekday = new Date(month_start + day * day_ms).getUTCDay();
  const rhythm = [1.15, 0.95, 0.9, 0.92, 1, 1.1, 1.05][weekday];
  if (rhythm === undefined) throw new Error('a week has seven days');
  const usual = 112 * market.share * rhythm * (0.9 + 0.25 * (day / days_in_month));
  return Math.round(usual * (0.88 + 0.24 * random()));
}

/** Most buy between lunch and late evening: the mean of two draws, shifted. */
function timeOfDay(midnight: number, random: () => number): number {
  const hours = 7 + ((random() + random()) / 2) * 16.9;
  return midnight + Math.floor(hours * 3_600) * 1_000;
}

/** Many small baskets, few dear ones; prices end in 0, 5 or 9. */
function basketAmount(market: Market, random: () => number): number {
  const [cheapest, dearest] = market.basket;
  const amount = cheapest * (dearest / cheapest) ** (random() ** 1.4 * (random() < 0.02 ? 1.35 : 1));
  const ending = [0, 5, 9, 9][Math.floor(random() * 4)];
  if (ending === undefined) throw new Error('a price has an ending');
  return Math.floor(amount / 10) * 10 + ending;
}

function orderNumber(random: () => number): string {
  return `W${String(between(random, 0, 999_999)).padStart(6, '0')}`;
}

/** Midnight of the day so many business days later. */
function businessDaysAfter(instant_ms: number, business_days: number): number {
  let day = Math.floor(instant_ms / day_ms);
  for (let left = business_days; left > 0; ) {
    day += 1;
    const weekday = new Date(day * day_ms).getUTCDay();
    if (weekday !== 0 && weekday !== 6) left -= 1;
  }
  return day * day_ms;
}

function exportCsv(rows: Row[]): string {
  const header =
    'id,type,source,amount,fee,net,currency,created,available_on,reporting_category,automatic_payout_id,description';
  const lines = rows.map((row) =>
    [
      row.id,
      row.type,
      row.source,
      row.amount,
      row.fee,
      row.amount - row.fee,
      row.currency,
      instantText(row.created_ms),
      instantText(row.available_ms),
      row.reporting_category,
      row.automatic_payout_id,
      row.description,
    ].join(','),
  );
  return `${[header, ...lines].join('\n')}\n`;
}

/** Sums per category and currency; the last line of a currency is the balance that the processor still holds. */
function totalsCsv(rows: Row[]): string {
  const lines = markets.flatMap(({ currency }) => {
    const own = rows.filter((row) => row.currency === currency);
    const categories = [...new Set(own.map((row) => row.reporting_category))].sort();
    return [...categories, 'ending_balance'].map((category) => {
      const summed =
        category === 'ending_balance' ? own : own.filter((row) => row.reporting_category === category);
      const gross = summed.reduce((sum, row) => sum + row.amount, 0);
      const fee = summed.reduce((sum, row) => sum + row.fee, 0);
      return [category, currency, summed.length, gross, fee, gross - fee].join(',');
    });
  });
  return `${['reporting_category,currency,count,gross,fee,net', ...lines].join('\n')}\n`;
}

function instantText(instant_ms: number): string {
  return new Date(instant_ms).toISOString().replace('.000Z', 'Z');
}

function between(random: () => number, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** A small generator with 32 bits of state: all we ask of it is the same month every time. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (import.meta.main) {
  const { export_csv, totals_csv } = generateMonth();
  writeFileSync(fileURLToPath(new URL('2026-10.csv', import.meta.url)), export_csv);
  writeFileSync(fileURLToPath(new URL('2026-10.totals.csv', import.meta.url)), totals_csv);
}
