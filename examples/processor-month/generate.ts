// Makes the demo month: what a processor would export for a shop in October 2026, and its own totals beside it. The same bytes on
// every run: `node examples/processor-month/generate.ts` rewrites 2026-10.csv and 2026-10.totals.csv.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { day_ms, type Market, type Movement, Processor } from './simulated-processor.ts';

const month_start = Date.UTC(2026, 9, 1);
const days_in_month = 31;
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

/** The export and the totals, as CSV text. */
export function generateMonth(): { export_csv: string; totals_csv: string } {
  const random = mulberry32(20_261_001);
  const rows = markets.flatMap((market) => marketRows(market, random));
  rows.sort((a, b) => a.created_ms - b.created_ms || (a.id < b.id ? -1 : 1));
  return { export_csv: exportCsv(rows), totals_csv: totalsCsv(rows) };
}

function marketRows(market: Market, random: () => number): Movement[] {
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

function orderNumber(random: () => number): string {
  return `W${String(between(random, 0, 999_999)).padStart(6, '0')}`;
}

function exportCsv(rows: Movement[]): string {
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
function totalsCsv(rows: Movement[]): string {
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
