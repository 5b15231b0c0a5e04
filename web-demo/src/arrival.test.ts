// What the bar shows, step by step; `undefined` is no bar.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Arrival } from './arrival.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function arrivalOf(drawn: { done: number; expected: number }) {
  const shown: (number | undefined)[] = [];
  return {
    arrival: new Arrival(
      () => drawn,
      (fraction) => shown.push(fraction),
    ),
    shown,
  };
}
const peer = (id: string, inSync: boolean) => ({ id, path: 'direct' as const, inSync, bytesIn: 0, bytesOut: 0 });

test('many entries are received, then drawn, and then the bar goes', () => {
  const drawn = { done: 0, expected: 0 };
  const { arrival, shown } = arrivalOf(drawn);
  arrival.received('ada', { done: 250, expected: 1000 });
  arrival.received('ada', { done: 1000, expected: 1000 });
  expect(shown).toEqual([0.25, 0]);
  Object.assign(drawn, { done: 500, expected: 1000 });
  arrival.drawing();
  Object.assign(drawn, { done: 1000 });
  vi.runAllTimers();
  expect(shown).toEqual([0.25, 0, 0.5, undefined]);
});

test('a few entries need no bar', () => {
  const { arrival, shown } = arrivalOf({ done: 40, expected: 50 });
  arrival.received('ada', { done: 1, expected: 99 });
  arrival.drawing();
  vi.runAllTimers();
  expect(shown).toEqual([]);
});

test('several peers are one bar, and who leaves or is in sync is not waited for', () => {
  const { arrival, shown } = arrivalOf({ done: 0, expected: 0 });
  arrival.received('ada', { done: 100, expected: 400 });
  arrival.received('ben', { done: 300, expected: 400 });
  arrival.status({ peers: [peer('ada', false), peer('ben', true)] });
  arrival.status({ peers: [] });
  expect(shown).toEqual([0.25, 0.5, 0.25, undefined]);
});

test('keys that are no entries do not keep the bar', () => {
  const { arrival, shown } = arrivalOf({ done: 10, expected: 1000 });
  arrival.drawing();
  vi.runAllTimers();
  expect(shown).toEqual([0.01, undefined]);
});
