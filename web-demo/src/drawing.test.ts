// A list arrives on a clock that only moves when something is drawn: what is drawn in which frame is then known.
import { expect, test } from 'vitest';
import { Drawing, type Drawn } from './drawing.js';
import { Slices } from './slices.js';

const DRAW_MS = 1;
const SLICE_MS = 10;

function drawingOnAClock() {
  let now = 0;
  /** What was drawn, frame by frame. */
  const frames: string[][] = [];
  const slices = new Slices({
    now: () => now,
    nextFrame: async () => {
      // Whatever can be done before a frame is done by then.
      await new Promise((resolve) => setImmediate(resolve));
      frames.push([]);
      return { sliceMs: SLICE_MS };
    },
  });
  const told: Drawn[] = [];
  const seen = { goesOn: 0 };
  const draw = async (what: Drawn) => {
    now += DRAW_MS;
    told.push(what);
    frames.at(-1)?.push(what.key);
  };
  const drawing = new Drawing(draw, () => void seen.goesOn++, slices);
  const drained = async () => {
    while (drawing.waiting > 0) await new Promise((resolve) => setImmediate(resolve));
  };
  return { drawing, frames, told, seen, drained };
}

async function* from(keys: Iterable<string>) {
  yield* keys;
}
const ofOthers = (key: string) => ({ key, remote: true });
const key = (n: number) => String(n).padStart(5, '0');

test('a change is drawn in the next frame, and nobody is told that it goes on', async () => {
  const { drawing, frames, told, seen } = drawingOnAClock();
  await drawing.take(from(['a']), ofOthers);
  expect(drawing.waiting).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(frames).toEqual([['a']]);
  expect(told).toEqual([{ key: 'a', remote: true }]);
  expect(seen.goesOn).toBe(0);
});

test('many are drawn from the newest down, no more in a frame than fit', async () => {
  const { drawing, frames, seen, drained } = drawingOnAClock();
  const keys = Array.from({ length: 2_345 }, (_, n) => key(n));
  await drawing.take(from(keys), ofOthers);
  await drained();
  expect(frames.flat()).toEqual([...keys].reverse());
  expect(Math.max(...frames.map((drawn) => drawn.length))).toBe(SLICE_MS / DRAW_MS);
  expect(seen.goesOn).toBeGreaterThan(200);
});

test('a key that changes while it waits is drawn once', async () => {
  const { drawing, told, drained } = drawingOnAClock();
  const changes = Array.from({ length: 100 }, (_, n) => ({ key: key(n % 10), remote: n < 95 }));
  await drawing.take(from(changes.map((_, n) => String(n))), (n) => changes[Number(n)] as Drawn);
  await drained();
  expect(told.map(({ key }) => key)).toEqual(Array.from({ length: 10 }, (_, n) => key(9 - n)));
  expect(told.filter(({ remote }) => remote)).toHaveLength(5);
});

test('two sources share the slices, and what comes later is drawn too', async () => {
  const { drawing, frames, drained } = drawingOnAClock();
  const source = (begin: number) => from(Array.from({ length: 50 }, (_, n) => key(begin + n)));
  await Promise.all([drawing.take(source(0), ofOthers), drawing.take(source(50), ofOthers)]);
  await drained();
  await drawing.take(from(['z']), ofOthers);
  await drained();
  expect(frames.flat()).toHaveLength(101);
  expect(frames.flat().at(-1)).toBe('z');
  expect(Math.max(...frames.map((drawn) => drawn.length))).toBe(SLICE_MS / DRAW_MS);
});
