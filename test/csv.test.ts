import { expect, test } from 'vitest';
import { z } from 'zod';
import { csvText, wantsCsv } from '../src/csv.ts';

test('numbers stay numbers, text that begins like a formula does not become one', () => {
  const cells = ['-12', '=1', '+1', '@a', '\t=1', '-a', '＝1', 'a,b', 'a"b', null, 7];
  const rows = cells.map((cell) => ({ cell }));
  const lines = ['cell', '-12', "'=1", "'+1", "'@a", "'\t=1", "'-a", "'＝1", '"a,b"', '"a""b"', '', '7', ''];
  expect(csvText(z.object({ cell: z.unknown() }), rows)).toBe(lines.join('\r\n'));
});

test('what an object within an item holds has columns of its own', () => {
  const item = z.object({ group: z.string(), posted: z.object({ debits: z.string(), credits: z.string() }) });
  const rows = [{ group: 'EUR', posted: { debits: '1', credits: '2' } }];
  expect(csvText(item, rows)).toBe('group,posted_debits,posted_credits\r\nEUR,1,2\r\n');
});

test('CSV is asked for by the query, else by the header', () => {
  expect(wantsCsv(undefined, { accept: 'text/html, text/csv;q=0.9' })).toBe(true);
  expect(wantsCsv('json', { accept: 'text/csv' })).toBe(false);
  expect(wantsCsv('csv', {})).toBe(true);
  expect(wantsCsv(undefined, { accept: 'text/csv-schema' })).toBe(false);
});
