import { expect, test } from 'vitest';
import { cleanText, newKey, PREFIX, parseItem, TEXT_CHARS_MAX } from './item.js';

test('later keys sort after earlier ones, also across a change in the number of digits', () => {
  const times = [0, 35, 36, 1_700_000_000_000, 1_700_000_000_001, 36 ** 8 - 1, 36 ** 8];
  const keys = times.map((time) => newKey(time));
  expect([...keys].sort()).toEqual(keys);
  for (const key of keys) expect(key.startsWith(PREFIX)).toBe(true);
});

test('keys of the same millisecond differ', () => {
  expect(new Set(Array.from({ length: 1000 }, () => newKey(1))).size).toBe(1000);
});

test('only entries are entries', () => {
  expect(parseItem({ text: 'milk', done: false, extra: 1 })).toEqual({ text: 'milk', done: false });
  for (const value of [
    undefined,
    null,
    1,
    'milk',
    [],
    {},
    { text: 1, done: false },
    { text: 'milk' },
    { text: 'milk', done: 'no' },
    new Map([['text', 'milk']]),
  ]) {
    expect(parseItem(value)).toBeUndefined();
  }
});

test('text is one bounded line', () => {
  expect(cleanText('  two \n lines\t ')).toBe('two lines');
  expect(cleanText(' \n ')).toBe('');
  expect(cleanText('x'.repeat(9999))).toHaveLength(TEXT_CHARS_MAX);
  expect(parseItem({ text: 'x'.repeat(9999), done: true })?.text).toHaveLength(TEXT_CHARS_MAX);
});
