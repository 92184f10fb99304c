import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeId, maybeDecodeId, newUuid } from '../src/id.ts';

const uuid = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .map((hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));

// From the examples of the TypeID specification.
test.each([
  ['00000000-0000-0000-0000-000000000000', '00000000000000000000000000'],
  ['00000000-0000-0000-0000-000000000001', '00000000000000000000000001'],
  ['00000000-0000-0000-0000-00000000000a', '0000000000000000000000000a'],
  ['00000000-0000-0000-0000-000000000010', '0000000000000000000000000g'],
  ['00000000-0000-0000-0000-000000000020', '00000000000000000000000010'],
  ['ffffffff-ffff-ffff-ffff-ffffffffffff', '7zzzzzzzzzzzzzzzzzzzzzzzzz'],
  ['0110c853-1d09-52d8-d73e-1194e95b5f19', '0123456789abcdefghjkmnpqrs'],
  ['01890a5d-ac96-774b-bcce-b302099a8057', '01h455vb4pex5vsknk084sn02q'],
])('%s is written %s', (text, letters) => {
  expect(encodeId('account', text)).toBe(`acc_${letters}`);
  expect(maybeDecodeId('account', `acc_${letters}`)).toBe(text);
});

test('every uuid comes back from its id', () => {
  fc.assert(
    fc.property(uuid, (text) => maybeDecodeId('transaction', encodeId('transaction', text)) === text),
  );
});

test('ids sort as their uuids do', () => {
  fc.assert(fc.property(uuid, uuid, (a, b) => a < b === encodeId('event', a) < encodeId('event', b)));
});

test.each([
  ['another prefix', 'txn_01h455vb4pex5vsknk084sn02q'],
  ['no prefix', '01h455vb4pex5vsknk084sn02q'],
  ['a longer prefix', 'acct_01h455vb4pex5vsknk084sn02q'],
  ['another separator', 'acc-01h455vb4pex5vsknk084sn02q'],
  ['a letter too few', 'acc_01h455vb4pex5vsknk084sn02'],
  ['a letter too many', 'acc_01h455vb4pex5vsknk084sn02qq'],
  ['a capital', 'acc_01H455vb4pex5vsknk084sn02q'],
  ['a letter that is not in the alphabet', 'acc_01h455vb4pex5vsknk084sn02u'],
  ['a hyphen', 'acc_01h455vb4pex-vsknk084sn02q'],
  ['a letter beyond ASCII', 'acc_01h455vb4pex5vsknk084sn02é'],
  ['more than 128 bits', 'acc_8zzzzzzzzzzzzzzzzzzzzzzzzz'],
  ['nothing', ''],
])('with %s it is no id', (_, text) => {
  expect(maybeDecodeId('account', text)).toBeNull();
});

test('new ids are UUIDv7 and grow strictly, even within a millisecond and when the clock goes back', () => {
  const now_ms = Date.now() + 60_000;
  const clock = [now_ms, now_ms - 5_000, now_ms, ...Array.from({ length: 10_000 }, () => now_ms), now_ms + 3];
  const made = clock.map((ms) => newUuid(ms));
  for (const text of made)
    expect(text).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(made).toEqual(made.toSorted());
  expect(new Set(made).size).toBe(made.length);
  const [first = ''] = made;
  expect(Number.parseInt(first.replaceAll('-', '').slice(0, 12), 16)).toBe(now_ms);
});
