import { expect, test } from 'vitest';
import { Slices } from './slices.js';

test('work goes on until its slice is over, and those who wait share the next', async () => {
  let now = 1000;
  let frames = 0;
  const slices = new Slices({
    now: () => now,
    nextFrame: () => {
      frames += 1;
      return Promise.resolve({ sliceMs: 8 });
    },
  });
  // After a pause nothing was begun yet.
  expect(slices.over).toBe(true);
  await Promise.all([slices.next(), slices.next()]);
  expect(frames).toBe(1);
  expect(slices.over).toBe(false);
  now += 7;
  expect(slices.over).toBe(false);
  now += 1;
  expect(slices.over).toBe(true);
  await slices.next();
  expect(frames).toBe(2);
  expect(slices.over).toBe(false);
});
