// The proof, as GET /v1/proof gives it, in a form for people.
import { z } from 'zod';
import type { Api } from './api.ts';

export const ProofSchema = z.looseObject({
  ok: z.boolean(),
  position: z.number(),
  currencies: z.array(
    z.looseObject({ currency: z.string(), scale: z.number(), debits: z.string(), credits: z.string() }),
  ),
});
export type Proof = z.infer<typeof ProofSchema>;

export async function readProof(api: Api, signal?: AbortSignal): Promise<Proof> {
  return api.get('/v1/proof', ProofSchema, signal);
}

export function proofSummary(proof: Proof): string {
  const sums = proof.currencies.map(({ currency, scale, debits }) => `${currency} ${decimal(debits, scale)}`);
  return `${proof.ok ? 'debits equal credits' : 'DEBITS AND CREDITS DIFFER'}: ${sums.join(', ')}`;
}

/** `12345` with scale 2 → `123.45` */
export function decimal(minor_units: string, scale: number): string {
  const digits = minor_units.replace('-', '').padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = minor_units.startsWith('-') ? '-' : '';
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(-scale)}`;
}
