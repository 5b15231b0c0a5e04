// Values that take twenty times the memory they are given: all of them can be read, after a reload as well, and the tab stays small.
import type { GossipStore } from '@gossipstore/core';
import type { Page } from '@playwright/test';
import { expect, test } from '../world.ts';

const MIB = 1024 * 1024;
/** What the values are given. */
const ROOM = MIB;
const SMALL = { count: 10_000, bytes: 1_000 };
const LARGE = { count: 100, bytes: 100_000 };
/**
 * What an entry may take beside its value: key, dot, stamp, where it stands in the order of keys and in that of dots, what its value must
 * be, each with the allocator's share.
 */
const INDEX_BYTES = 280;
/** What the engine may take beside values and index, while it writes and reads: pages, transactions, the journal, a WebAssembly memory that grows by steps. */
const WORK = 5 * MIB;

interface Sizes {
  readonly small: typeof SMALL;
  readonly large: typeof LARGE;
  readonly room: number;
}
const SIZES: Sizes = { small: SMALL, large: LARGE, room: ROOM };

declare global {
  interface Window {
    bounded?: GossipStore<Uint8Array>;
    expected?: (key: string) => Uint8Array;
    engineMemory?: WebAssembly.Memory;
  }
}

/** Opens the store beside the demo's own. */
async function open({ small, large, room }: Sizes): Promise<void> {
  const Store = window.gossipstore?.store.constructor as typeof GossipStore;
  window.bounded = await Store.open<Uint8Array>('bounded', { cache: { maxMemoryBytes: room } });
  window.expected = (key) => {
    const n = Number(key.slice(key.indexOf('/') + 1));
    const bytes = new Uint8Array(key.startsWith('large') ? large.bytes : small.bytes);
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = n * 31 + at;
    return bytes;
  };
}

async function fill({ small, large }: Sizes): Promise<void> {
  const { bounded, expected } = window;
  if (!bounded || !expected) throw new Error('it is open');
  function* all(): Generator<[string, Uint8Array]> {
    for (const [kind, { count }] of Object.entries({ small, large })) {
      for (let n = 0; n < count; n += 1) {
        const key = `${kind}/${String(n).padStart(6, '0')}`;
        yield [key, (window.expected as (key: string) => Uint8Array)(key)];
      }
    }
  }
  await bounded.setMany(all());
}

/** Reads every value, one by one and in one go; gives how many were as they should be. */
async function readAll(): Promise<{ single: number; listed: number }> {
  const { bounded, expected } = window;
  if (!bounded || !expected) throw new Error('it is open');
  const isRight = (key: string, value: unknown) => {
    const right = expected(key);
    return (
      value instanceof Uint8Array && value.length === right.length && value.every((byte, at) => byte === right[at])
    );
  };
  const keys: string[] = [];
  let listed = 0;
  for await (const [key, value] of bounded.entries()) {
    keys.push(key);
    if (isRight(key, value)) listed += 1;
  }
  let single = 0;
  // In an order that has nothing to do with where they are.
  for (let at = 0; at < keys.length; at += 10) {
    const key = keys[(at * 7_919) % keys.length] as string;
    if (isRight(key, await bounded.get(key))) single += 10;
  }
  return { single, listed };
}

/** Notes the memory of the engine, whichever way it is instantiated. */
function noteMemory(): void {
  const note = ({ exports }: WebAssembly.Instance) => {
    if (exports.memory instanceof WebAssembly.Memory) window.engineMemory = exports.memory;
  };
  const { instantiate, instantiateStreaming } = WebAssembly;
  WebAssembly.instantiateStreaming = async (...args) => {
    const made = await instantiateStreaming(...args);
    note(made.instance);
    return made;
  };
  WebAssembly.instantiate = (async (...args: Parameters<typeof instantiate>) => {
    const made: WebAssembly.Instance | WebAssembly.WebAssemblyInstantiatedSource = await instantiate(...args);
    note('instance' in made ? (made.instance as WebAssembly.Instance) : made);
    return made;
  }) as typeof instantiate;
}

/** The bytes of the engine's memory, which never shrinks: the most that it has ever needed. */
async function memory(page: Page): Promise<number> {
  const bytes = await page.evaluate(() => window.engineMemory?.buffer.byteLength);
  if (!bytes) throw new Error('the engine was not seen');
  return bytes;
}

test('values of twenty times the memory that they are given are all there', async ({ join }, info) => {
  test.setTimeout(180_000);
  const ada = await join('Ada', { fragment: '', before: noteMemory });
  await ada.page.evaluate(open, SIZES);
  const before = await memory(ada.page);
  await ada.page.evaluate(fill, SIZES);
  const filled = (await memory(ada.page)) - before;
  const count = SMALL.count + LARGE.count;
  expect(await ada.page.evaluate(readAll)).toEqual({ single: count, listed: count });
  const read = (await memory(ada.page)) - before;

  await ada.page.reload();
  await ada.page.waitForFunction(() => window.gossipstore !== undefined);
  const reloaded = await memory(ada.page);
  await ada.page.evaluate(open, SIZES);
  const opened = (await memory(ada.page)) - reloaded;
  expect(await ada.page.evaluate(readAll)).toEqual({ single: count, listed: count });
  const again = (await memory(ada.page)) - reloaded;

  const stored = SMALL.count * SMALL.bytes + LARGE.count * LARGE.bytes;
  expect(stored).toBeGreaterThan(18 * ROOM);
  const figures = { stored, filled, read, opened, again };
  const told = Object.entries(figures).map(([what, bytes]) => `${what} ${(bytes / MIB).toFixed(1)}`);
  info.annotations.push({ type: 'MiB', description: told.join(', ') });
  const bound = ROOM + count * INDEX_BYTES + WORK;
  for (const bytes of [filled, read, opened, again]) expect(bytes, told.join(', ')).toBeLessThan(bound);
});
