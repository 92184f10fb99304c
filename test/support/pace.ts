// Whether something is as quick as it was before: compared with itself in the same run, whatever else the machine has to do.

/** Milliseconds that each of so many took, one after the other. */
export async function timeEach(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const took_ms: number[] = [];
  for (let done = 0; done < count; done += 1) {
    const began_ms = performance.now();
    await work();
    took_ms.push(performance.now() - began_ms);
  }
  return took_ms;
}

/** The one in the middle: a pause of the machine in one of them says nothing of the others. */
export function middle(took_ms: number[]): number {
  const sorted = took_ms.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** What may be in the middle when it was so before: whoever is disturbed waits for something, and that takes longer. */
export function undisturbed(before_ms: number[]): number {
  return 3 * middle(before_ms) + 100;
}
