// Amounts: integer minor units, strings on the wire, bigint in arithmetic, numeric(38, 0) in the database. Never a float.
import { z } from 'zod';

const max_amount_digits = 38;
const max_amount = 10n ** BigInt(max_amount_digits) - 1n;

/** A positive amount in minor units, as text: `"12345"` is 123.45 EUR. */
export const AmountSchema = z
  .string({ error: 'an amount is a string of digits in minor units, not a JSON number' })
  .regex(
    /^[1-9][0-9]{0,37}$/,
    'an amount is 1 to 38 digits without sign, leading zero or decimal point, and above zero',
  )
  .meta({ description: 'Integer minor units, 1 to 38 digits, above zero', example: '12345' });

/** A balance or a limit: it may be negative or zero. */
export const SignedAmountSchema = z
  .string({ error: 'an amount is a string of digits in minor units, not a JSON number' })
  .regex(/^(0|-?[1-9][0-9]{0,37})$/, 'an amount is up to 38 digits in minor units, with `-` when negative')
  .meta({ description: 'Integer minor units, up to 38 digits, may be negative', example: '-500' });

export function fitsAmount(value: bigint): boolean {
  return value <= max_amount && value >= -max_amount;
}
