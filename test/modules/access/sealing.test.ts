import { expect, test } from 'vitest';
import { openAnswer, redactedAnswer, sealAnswer } from '../../../src/modules/access/index.ts';

const answer = { text: '{"id":"key_1","api_key":"lk_live_x"}', redacted: '{"id":"key_1","api_key":null}' };
const holder = { presented: 'lk_live_parent', key_hash: '0190a3b0-0000-7000-8000-000000000001' };

test('the key that asked gets the same bytes again', () => {
  expect(openAnswer(sealAnswer(answer, holder), holder)).toBe(answer.text);
});

test('another key gets the answer without its secret', () => {
  const stored = sealAnswer(answer, holder);
  expect(openAnswer(stored, { ...holder, presented: 'lk_live_other' })).toBe(answer.redacted);
  expect(redactedAnswer(stored)).toBe(answer.redacted);
});

test('what is sealed under one Idempotency-Key opens nothing under another', () => {
  const stored = sealAnswer(answer, holder);
  const elsewhere = { ...holder, key_hash: '0190a3b0-0000-7000-8000-000000000002' };
  expect(openAnswer(stored, elsewhere)).toBe(answer.redacted);
});

test('a stored answer does not hold the secret, nor the same bytes twice', () => {
  const stored = sealAnswer(answer, holder);
  expect(stored).not.toContain('lk_live_x');
  expect(Buffer.from(stored.split('.')[1] ?? '', 'base64url').toString('latin1')).not.toContain('lk_live_x');
  expect(sealAnswer(answer, holder)).not.toBe(stored);
});

test('an answer that was altered opens without its secret', () => {
  const stored = sealAnswer(answer, holder);
  const altered = `${stored.slice(0, 12)}${stored[12] === 'A' ? 'B' : 'A'}${stored.slice(13)}`;
  expect(openAnswer(altered, holder)).toBe(answer.redacted);
});

test('an answer without a secret stays as it is, whatever its text says', () => {
  for (const text of ['{"name":"sealed.AAAA.{}"}', '"sealed."', '[]']) {
    expect(openAnswer(text, holder)).toBe(text);
    expect(redactedAnswer(text)).toBe(text);
  }
});
