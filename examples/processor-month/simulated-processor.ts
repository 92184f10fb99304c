// A processor as far as the demo month needs one: it takes charges, gives refunds, loses and wins disputes, and pays out what is available.

export const day_ms = 86_400_000;
/** A charge is available after two business days, as on European and American cards. */
const settlement_business_days = 2;

export interface Market {
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

/** One movement of the balance that the processor holds. */
export interface Movement {
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

/** The processor's side of one currency: what it has taken, what it holds and what it has paid out. */
export class Processor {
  readonly rows: Movement[] = [];
  readonly #market: Market;
  readonly #random: () => number;
  #unpaid: Movement[] = [];
  #charges_since_costs = 0;

  constructor(market: Market, random: () => number) {
    this.#market = market;
    this.#random = random;
  }

  charge(created_ms: number, order: string): Movement {
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

  refund(created_ms: number, charge: Movement, amount: number): void {
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

  dispute(created_ms: number, charge: Movement): Movement {
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
  winDispute(created_ms: number, dispute: Movement): void {
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

  #move(row: Omit<Movement, 'id' | 'currency' | 'automatic_payout_id'>): Movement {
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

/** Many small baskets, few dear ones; prices end in 0, 5 or 9. */
function basketAmount(market: Market, random: () => number): number {
  const [cheapest, dearest] = market.basket;
  const amount = cheapest * (dearest / cheapest) ** (random() ** 1.4 * (random() < 0.02 ? 1.35 : 1));
  const ending = [0, 5, 9, 9][Math.floor(random() * 4)];
  if (ending === undefined) throw new Error('a price has an ending');
  return Math.floor(amount / 10) * 10 + ending;
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
