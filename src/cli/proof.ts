// The proof, in a form for people.
import { type Proof, ProofSchema } from '../modules/proofs/index.ts';
import type { Api } from './api.ts';
import { chainLines } from './chain.ts';

export async function readProof(api: Api, signal?: AbortSignal): Promise<Proof> {
  return api.get('/v1/proof', ProofSchema, signal);
}

/** One line: the sums, or that they differ. */
export function proofSummary(proof: Proof): string {
  const sums = proof.currencies.map(({ currency, scale, debits }) => `${decimal(debits, scale)} ${currency}`);
  if (!proof.ok)
    return `${proof.difference_count + proof.chain.finding_count} differences: npm run lattice -- verify`;
  return `debits equal credits: ${sums.length === 0 ? 'nothing is posted yet' : sums.join(', ')}`;
}

export function proofLines(proof: Proof): string[] {
  const sums = proof.currencies.map(({ currency, scale, debits, credits }) => {
    const sign = debits === credits ? '=' : 'IS NOT';
    return `  ${currency.padEnd(5)} debits ${decimal(debits, scale)} ${sign} credits ${decimal(credits, scale)}`;
  });
  const differences = proof.differences.map(({ check, account_id, what, expected, found }) => {
    const account = account_id === null ? '' : ` of ${account_id}`;
    return `  ${check}${account}: ${what}: expected ${expected ?? 'nothing'}, found ${found ?? 'nothing'}`;
  });
  const projected = proof.projections.reduce((count, each) => count + each.difference_count, 0);
  const verdict = (count: number) => (count === 0 ? 'nothing differs' : `${count} DIFFERENCES`);
  const names = proof.projections.map(({ projection }) => projection).join(', ');
  const reached = Math.min(...proof.projections.map(({ position }) => position));
  return [
    ...sums,
    ...differences,
    `  ${proof.entry_count.toLocaleString('en')} entries recounted at position ${proof.position}: ${verdict(proof.difference_count - projected)}`,
    `  ${names} recounted at position ${reached}: ${verdict(projected)}`,
    ...chainLines(proof.chain),
    ...(proof.halted ? ['  Postings are halted until a recount holds (docs/runbooks/proof.md)'] : []),
  ];
}

/** `12345` with scale 2 → `123.45` */
function decimal(minor_units: string, scale: number): string {
  const digits = minor_units.replace('-', '').padStart(scale + 1, '0');
  const sign = minor_units.startsWith('-') ? '-' : '';
  const whole = digits.slice(0, digits.length - scale);
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(-scale)}`;
}
