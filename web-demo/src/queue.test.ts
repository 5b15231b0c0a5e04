import { expect, test } from 'vitest';
import { Queue } from './queue.js';

test('the newest key comes first, each once, and as it was changed last', () => {
  const queue = new Queue();
  for (const [key, remote] of [
    ['b', false],
    ['c', true],
    ['a', true],
    ['b', true],
    ['c', false],
  ] as const) {
    queue.add(key, remote);
  }
  expect(queue.size).toBe(3);
  expect(queue.take()).toEqual({ key: 'c', remote: false });
  queue.add('d', true);
  expect(queue.take()).toEqual({ key: 'd', remote: true });
  // A key may wait again after it was taken.
  queue.add('c', true);
  expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([
    { key: 'c', remote: true },
    { key: 'b', remote: true },
    { key: 'a', remote: true },
    undefined,
  ]);
  expect(queue.size).toBe(0);
});
