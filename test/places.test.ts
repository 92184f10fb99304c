import { expect, test } from 'vitest';
import { Places } from '../src/places.ts';
import { waitFor } from './support/wait.ts';

test('so many at once, the others in their order, and beyond the line nobody', async () => {
  const places = new Places(2, 2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (number: number) =>
    places.hold(async () => {
      begun.push(number);
      await new Promise<void>((resolve) => ends.push(resolve));
      return number;
    });
  const first = [1, 2, 3, 4].map(work);
  await expect(work(5)).rejects.toMatchObject({ code: 'unavailable' });
  expect(begun).toEqual([1, 2]);
  ends.shift()?.();
  await waitFor('the third has begun', async () => begun.length === 3);
  ends.shift()?.();
  await waitFor('the fourth has begun', async () => begun.length === 4);
  for (const end of ends) end();
  expect(await Promise.all(first)).toEqual([1, 2, 3, 4]);
});

test('whoever fails leaves its place to the next', async () => {
  const places = new Places(1, 1);
  const failing = places.hold(async () => Promise.reject(new Error('no')));
  const next = places.hold(async () => 'next');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('next');
  expect(await places.hold(async () => 'later')).toBe('later');
});
