// The demo month's files by themselves, and what readRows makes of files that differ from them.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readTotals, sumRows } from '../../examples/processor-month/compare.ts';
import { generateMonth } from '../../examples/processor-month/generate.ts';
import { demo_month } from '../../examples/processor-month/post.ts';
import { transactionOf } from '../../examples/processor-month/postings.ts';
import { FileRefused, readRows } from '../../examples/processor-month/rows.ts';

const export_csv = readFileSync(demo_month, 'utf8');
const totals_csv = readFileSync(demo_month.replace('.csv', '.totals.csv'), 'utf8');

describe('the demo month', () => {
  const { rows, unused_columns } = readRows('2026-10.csv', export_csv);

  test('is what the generator makes, byte for byte', () => {
    expect(generateMonth()).toEqual({ export_csv, totals_csv });
  });

  test('has some thousand rows of every category, all within October', () => {
    expect(rows.length).toBeGreaterThan(3_000);
    expect(unused_columns).toEqual([]);
    expect([...new Set(rows.map((row) => row.category))].sort()).toEqual([
      'charge',
      'dispute',
      'dispute_reversal',
      'network_cost',
      'payout',
      'payout_reversal',
      'refund',
    ]);
    expect(rows.filter((row) => !row.created.startsWith('2026-10-'))).toEqual([]);
  });

  test('pays out exactly what it settles, and nothing before it is available', () => {
    const payouts = rows.filter((row) => row.category === 'payout');
    expect(payouts.length).toBeGreaterThan(20);
    for (const payout of payouts) {
      const settled = rows.filter((row) => row.category !== 'payout' && row.payout_id === payout.payout_id);
      expect(settled.reduce((sum, row) => sum + row.net, 0n)).toBe(-payout.net);
      expect(settled.filter((row) => String(row.available_on) > payout.created)).toEqual([]);
      expect(settled.filter((row) => row.currency !== payout.currency)).toEqual([]);
    }
  });

  test('has totals that are the sums of its rows', () => {
    const byAccount = (a: { account: { code: string } }, b: { account: { code: string } }) =>
      a.account.code < b.account.code ? -1 : 1;
    expect(readTotals('totals.csv', totals_csv).sort(byAccount)).toEqual(sumRows(rows).sort(byAccount));
  });

  test('balances in each transaction', () => {
    for (const transaction of rows.map(transactionOf)) {
      const sum = (direction: string) =>
        transaction?.entries
          .filter((entry) => entry.direction === direction)
          .reduce((total, entry) => total + BigInt(entry.amount), 0n);
      expect(sum('debit')).toBe(sum('credit'));
    }
  });
});

describe('another export', () => {
  test('may have other columns, another order, instants without zone, and no category', () => {
    const { rows, unused_columns } = readRows(
      'other.csv',
      '\uFEFFid,_synced,amount,available_on,created,currency,description,exchange_rate,fee,net,source,status,type,payout_id\r\n' +
        'b_1,2021-03-15 02:21:18,-18759,2021-03-16 00:00:00,2021-03-15 01:04:36,usd,"a ""quoted"", text",,0,-18759,po_1,pending,payout,po_1\r\n' +
        'b_2,2021-03-15 02:21:18,3519960,,1615559160,usd,,,137308,3382652,ch_1,pending,charge,\r\n',
    );
    expect(unused_columns).toEqual(['_synced', 'exchange_rate', 'status']);
    expect(rows).toEqual([
      {
        line: 2,
        id: 'b_1',
        category: 'payout',
        amount: -18759n,
        fee: 0n,
        net: -18759n,
        currency: 'USD',
        created: '2021-03-15T01:04:36.000Z',
        available_on: '2021-03-16T00:00:00.000Z',
        source: 'po_1',
        payout_id: 'po_1',
        description: 'a "quoted", text',
      },
      {
        line: 3,
        id: 'b_2',
        category: 'charge',
        amount: 3519960n,
        fee: 137308n,
        net: 3382652n,
        currency: 'USD',
        created: '2021-03-12T14:26:00.000Z',
        available_on: null,
        source: 'ch_1',
        payout_id: null,
        description: null,
      },
    ]);
  });

  test('moves each account by the sign of the row', () => {
    const { rows } = readRows(
      'signs.csv',
      'id,type,amount,fee,net,currency,created,reporting_category\n' +
        'lost,adjustment,-5515,2000,-7515,eur,2026-10-13,dispute\n' +
        'won,adjustment,5515,-2000,7515,eur,2026-10-19,dispute_reversal\n' +
        'nothing,charge,0,0,0,eur,2026-10-19,charge\n',
    );
    const entries = rows.map((row) =>
      transactionOf(row)?.entries.map(
        ({ direction, amount, account }) => `${direction} ${amount} ${account}`,
      ),
    );
    expect(entries).toEqual([
      [
        'credit 7515 processor:balance:eur',
        'debit 2000 costs:processing:dispute:eur',
        'debit 5515 losses:dispute:eur',
      ],
      [
        'debit 7515 processor:balance:eur',
        'credit 2000 costs:processing:dispute_reversal:eur',
        'credit 5515 losses:dispute_reversal:eur',
      ],
      undefined,
    ]);
  });

  test('is refused with a line for each thing that is not understood', () => {
    expect(
      reasons(
        'id,type,amount,fee,net,currency,created\n' +
          'a,charge,12.99,0,1299,eur,2026-10-01\n' +
          'b,charge,1299,10,1299,eur,2026-10-01\n' +
          'c,chargd,1299,10,1289,eur,2026-10-01\n' +
          'd,charge,1299,10,1289,euro,yesterday\n' +
          'e,charge,1299,10,1289,eur,2026-10-01\n' +
          'e,charge,1299,10,1289,eur,2026-10-01\n' +
          'f,charge,1299\n',
      ),
    ).toMatchInlineSnapshot(`
      [
        "line 2, amount "12.99": not an amount in minor units, such as 1299 for 12.99",
        "line 3, net "1299": amount 1299 less fee 10 is 1289",
        "line 4, type "chargd": not one that has accounts here: charge, payment, refund, payment_refund, adjustment, payout, payout_failure, payout_cancel, stripe_fee, processor_fee, network_cost, transfer, transfer_refund, topup, topup_reversal",
        "line 5, currency "euro": not a currency code of three letters",
        "line 5, created "yesterday": not an instant: 2026-10-01T09:00:00Z, 2026-10-01 09:00:00 or 1790845200",
        "line 7, id "e": already on line 6",
        "line 8: 3 values for 7 columns",
      ]
    `);
  });

  test('is refused when columns are missing, when it is a list of payouts, and when it is not CSV', () => {
    expect(reasons('id,type,amount,created\n')).toMatchInlineSnapshot(`
      [
        "there is no column fee; the columns are id, type, amount, created",
        "there is no column net; the columns are id, type, amount, created",
        "there is no column currency; the columns are id, type, amount, created",
      ]
    `);
    expect(reasons('id,amount,arrival_date,created,currency,status,type\n')).toMatchInlineSnapshot(`
      [
        "this is a list of payouts; their money is moved by the rows of type payout in the balance transactions: give that export",
      ]
    `);
    expect(reasons('id,type\na,"b\n')).toMatchInlineSnapshot(`
      [
        "not CSV: Quote Not Closed: the parsing is finished with an opening quote at line 2",
      ]
    `);
    expect(reasons('')).toMatchInlineSnapshot(`
      [
        "the file is empty",
      ]
    `);
  });
});

function reasons(text: string): string[] {
  try {
    readRows('bad.csv', text);
  } catch (error) {
    if (error instanceof FileRefused) return error.reasons;
    throw error;
  }
  throw new Error('the file was not refused');
}
