/** Tells what is going on, and what explains a number. */
export function note(line: string): void {
  console.log(`  ${line}`);
}
