import { expect, test } from 'vitest';
import { csvText, wantsCsv } from '../src/csv.ts';

test('numbers stay numbers, text that begins like a formula does not become one', () => {
  const cells = ['-12', '=1', '+1', '@a', '\t=1', '-a', '＝1', 'a,b', 'a"b', null, 7];
  const rows = cells.map((cell) => ({ cell }));
  const lines = ['cell', '-12', "'=1", "'+1", "'@a", "'\t=1", "'-a", "'＝1", '"a,b"', '"a""b"', '', '7', ''];
  expect(csvText(['cell'], rows)).toBe(lines.join('\r\n'));
});

test('CSV is asked for by the query, else by the header', () => {
  expect(wantsCsv(undefined, { accept: 'text/html, text/csv;q=0.9' })).toBe(true);
  expect(wantsCsv('json', { accept: 'text/csv' })).toBe(false);
  expect(wantsCsv('csv', {})).toBe(true);
  expect(wantsCsv(undefined, { accept: 'text/csv-schema' })).toBe(false);
});
