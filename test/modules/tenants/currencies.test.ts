import { expect, test } from 'vitest';
import { iso_4217 } from '../../../src/modules/tenants/index.ts';

test('ISO 4217 gives each currency its decimals', () => {
  const scales = Object.fromEntries(
    ['EUR', 'USD', 'JPY', 'KRW', 'ISK', 'KWD', 'TND', 'CLF', 'UYW', 'IQD', 'HUF', 'XCG', 'XAU', 'XXX'].map(
      (code) => [code, iso_4217.get(code)],
    ),
  );
  expect(scales).toEqual({
    EUR: 2,
    USD: 2,
    JPY: 0,
    KRW: 0,
    ISK: 0,
    KWD: 3,
    TND: 3,
    CLF: 4,
    UYW: 4,
    IQD: 3,
    HUF: 2,
    XCG: 2,
    XAU: null,
    XXX: null,
  });
});

test('the list is whole: every code that the platform of Node knows, and nothing misspelt', () => {
  for (const code of Intl.supportedValuesOf('currency')) expect(iso_4217.has(code), code).toBe(true);
  for (const code of iso_4217.keys()) expect(code).toMatch(/^[A-Z]{3}$/);
  const count = (scale: number | null) => [...iso_4217.values()].filter((each) => each === scale).length;
  expect([count(0), count(2), count(3), count(4), count(null)]).toEqual([17, 145, 7, 2, 13]);
});
