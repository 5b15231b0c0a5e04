/**
 * The cache against its golden vectors, against the model under random operations, and at the edges that a caller meets:
 * bad options, callbacks that come back or throw, changes while iterating, sizes by estimate.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { DEFAULT_MAX_MEMORY_BYTES, ENTRY_BYTES, type EvictionReason, LRUCache } from '../ts/lru-cache.js';
import { estimateSize } from '../ts/lru-size.js';
import { type Limits, LruModel, type Operation, type Outcome, type Sized } from './lru-model.js';
import { type Case, printVectors, randomOperation, VECTORS_URL, vectors } from './lru-vectors.js';
import { seeds, withSeed } from './random.js';

// Nothing here waits, but much is computed, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

/** The cache under test, with the surface of the model. */
class Subject {
  readonly cache: LRUCache<string, Sized>;
  #evicted: Outcome['evicted'] = [];

  constructor(limits: Limits) {
    this.cache = new LRUCache<string, Sized>({
      ...limits,
      sizeCalculator: (value) => value.size,
      onEvict: (value, key, reason) => this.#evicted.push([value.id, key, reason]),
    });
  }

  apply(operation: Operation): Outcome {
    this.#evicted = [];
    const returns = this.#perform(operation);
    const content = [...this.cache].map(([key, value]): [string, string] => [key, value.id]);
    expect(this.cache.size).toBe(content.length);
    expect(this.cache.isEmpty()).toBe(content.length === 0);
    const bytes = this.cache.memoryUsage;
    return { ...(returns === undefined ? {} : { returns }), evicted: this.#evicted, content, bytes };
  }

  #perform(operation: Operation): Outcome['returns'] {
    switch (operation.op) {
      case 'set':
        expect(this.cache.set(operation.key, { id: operation.value, size: operation.size })).toBe(this.cache);
        return undefined;
      case 'get':
        return this.cache.get(operation.key)?.id ?? null;
      case 'peek':
        return this.cache.peek(operation.key)?.id ?? null;
      case 'has':
        return this.cache.has(operation.key);
      case 'delete':
        return this.cache.delete(operation.key);
      case 'clear':
        this.cache.clear();
        return undefined;
      case 'mutate': {
        const value = this.cache.peek(operation.key);
        if (value !== undefined) value.size = operation.size;
        return undefined;
      }
    }
  }
}

describe('golden vectors', () => {
  if (process.env.GOSSIPSTORE_WRITE_VECTORS) writeFileSync(VECTORS_URL, printVectors(vectors()));
  const file = readFileSync(VECTORS_URL, 'utf8');

  it('are what the model says', () => {
    expect(file).toBe(printVectors(vectors()));
  });

  for (const { name, steps, ...limits } of JSON.parse(file) as Case[]) {
    it(name, () => {
      const subject = new Subject(limits);
      for (const [index, { returns, evicted, content, bytes, ...operation }] of steps.entries()) {
        const expected = { ...(returns === undefined ? {} : { returns }), evicted, content, bytes };
        expect(subject.apply(operation), `step ${index}: ${JSON.stringify(operation)}`).toEqual(expected);
      }
    });
  }
});

describe('random operations against the model', () => {
  for (const limits of [
    { maxItems: 1 },
    { maxItems: 40 },
    { maxMemoryBytes: 200 },
    { maxItems: 30, maxMemoryBytes: 400 },
  ]) {
    it(JSON.stringify(limits), () => {
      for (const seed of seeds(5)) {
        withSeed(seed, (random) => {
          const subject = new Subject(limits);
          const model = new LruModel(limits);
          for (let serial = 0; serial < 1_000; serial++) {
            const operation = randomOperation(random, 60, 40, serial);
            expect(subject.apply(operation), `operation ${serial}`).toEqual(model.apply(operation));
          }
        });
      }
    });
  }

  it('with callbacks that use the cache, which stays whole and within its limits', () => {
    for (const seed of seeds(5)) {
      withSeed(seed, (random) => {
        let depth = 0;
        const limits = { maxItems: 12, maxMemoryBytes: 200 };
        const held = new Map<string, Sized>();
        const cache: LRUCache<string, Sized> = new LRUCache<string, Sized>({
          ...limits,
          sizeCalculator: (value) => value.size,
          onEvict: (value, key) => {
            checkWhole(cache, limits);
            if (held.get(key) === value) held.delete(key);
            if (depth === 3) return;
            depth++;
            for (let calls = Math.floor(random() * 4); calls > 0; calls--) step();
            depth--;
          },
        });
        const step = () => {
          const operation = randomOperation(random, 30, 60, 0);
          if (operation.op === 'set') {
            const value = { id: operation.value, size: operation.size };
            held.set(operation.key, value);
            cache.set(operation.key, value);
          } else if (operation.op === 'delete') {
            held.delete(operation.key);
            cache.delete(operation.key);
          } else if (operation.op === 'clear') {
            held.clear();
            cache.clear();
          } else if (operation.op === 'get') {
            cache.get(operation.key);
          }
        };
        for (let i = 0; i < 1_000; i++) {
          step();
          checkWhole(cache, limits);
        }
        // Whatever is cached is the value set last under its key, and nothing that was evicted is still there.
        for (const [key, value] of cache) expect(held.get(key)).toBe(value);
      });
    }
  });
});

/** The parts of the cache agree with each other. Sizes must not have been changed since they were set. */
function checkWhole(cache: LRUCache<string, Sized>, { maxItems, maxMemoryBytes }: Required<Limits>): void {
  const entries = [...cache];
  expect(entries.length).toBe(cache.size);
  expect(new Set(entries.map(([key]) => key)).size).toBe(entries.length);
  for (const [key, value] of entries) expect(cache.peek(key)).toBe(value);
  expect(entries.reduce((sum, [, value]) => sum + value.size, 0)).toBe(cache.memoryUsage);
  expect(cache.size).toBeLessThanOrEqual(maxItems);
  expect(cache.memoryUsage).toBeLessThanOrEqual(maxMemoryBytes);
}

describe('options', () => {
  it('the lines of the README work', () => {
    const cache = new LRUCache<string, unknown>({ maxItems: 100, maxMemoryBytes: 10 * 1024 * 1024 });
    cache.set('key1', { name: 'John', age: 30 });
    expect(cache.get('key1')).toEqual({ name: 'John', age: 30 });
    expect(cache.has('key1')).toBe(true);
    expect(cache.memoryUsage).toBeGreaterThan(0);
    cache.delete('key1');
    cache.clear();
    expect(cache.isEmpty()).toBe(true);
    expect(cache.memoryUsage).toBe(0);
  });

  it('without any limit there is a default one, and it holds', () => {
    const cache = new LRUCache<number, Uint8Array>();
    expect(cache.maxMemoryBytes).toBe(DEFAULT_MAX_MEMORY_BYTES);
    expect(cache.maxItems).toBe(Number.POSITIVE_INFINITY);
    const mebibytes = DEFAULT_MAX_MEMORY_BYTES / 2 ** 20;
    for (let i = 0; i < mebibytes + 3; i++) cache.set(i, new Uint8Array(2 ** 20));
    expect(cache.size).toBe(mebibytes - 1);
    expect(cache.memoryUsage).toBeLessThanOrEqual(DEFAULT_MAX_MEMORY_BYTES);
  });

  it.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY, 1.5, 0.5, '100', null, {}, 10n])(
    'maxItems %s is refused',
    (limit) => {
      expect(() => new LRUCache({ maxItems: limit as number })).toThrow(RangeError);
    },
  );

  it.each([0, -1, Number.NaN, Number.NEGATIVE_INFINITY, 0.5, '1MB', null])('maxMemoryBytes %s is refused', (limit) => {
    expect(() => new LRUCache({ maxItems: 1, maxMemoryBytes: limit as number })).toThrow(RangeError);
  });

  it('a byte limit that is not whole is rounded down', () => {
    expect(new LRUCache({ maxMemoryBytes: 0.1 * 1024 * 1024 }).maxMemoryBytes).toBe(104_857);
  });

  it('Infinity means no such limit, and not both may be missing that way', () => {
    expect(new LRUCache({ maxItems: Number.POSITIVE_INFINITY, maxMemoryBytes: 10 }).maxMemoryBytes).toBe(10);
    expect(() => new LRUCache({ maxItems: Number.POSITIVE_INFINITY })).toThrow(/finite/);
  });

  it('callbacks that are no functions are refused', () => {
    expect(() => new LRUCache({ sizeCalculator: 5 as never })).toThrow(RangeError);
    expect(() => new LRUCache({ onEvict: {} as never })).toThrow(RangeError);
  });
});

describe('entries', () => {
  it('any key of a Map is a key, and undefined is a value', () => {
    const cache = new LRUCache<unknown, unknown>({ maxItems: 10 });
    const object = {};
    cache.set(Number.NaN, 1).set(undefined, 2).set(object, undefined).set('NaN', 3);
    expect([cache.get(Number.NaN), cache.get(undefined), cache.get('NaN')]).toEqual([1, 2, 3]);
    expect([cache.has(object), cache.get(object), cache.has({})]).toEqual([true, undefined, false]);
  });

  it('what was dropped is let go of, so that it can be collected', async () => {
    const cache = new LRUCache<object, object>({ maxItems: 2 });
    const refs: WeakRef<object>[] = [];
    const fill = () => {
      const entry = { key: {}, value: {} };
      refs.push(new WeakRef(entry.key), new WeakRef(entry.value));
      cache.set(entry.key, entry.value);
      return entry.key;
    };
    fill();
    fill();
    fill();
    cache.delete(fill());
    // What a weak reference was made to or asked for lives until its job ends.
    await new Promise((resolve) => setImmediate(resolve));
    setFlagsFromString('--expose_gc');
    runInNewContext('gc')();
    const alive = refs.map((ref) => ref.deref() !== undefined);
    expect(alive).toEqual([false, false, false, false, true, true, false, false]);
    expect(cache.size).toBe(1);
  });

  it('grows from few slots to many and holds exactly the limit', () => {
    const cache = new LRUCache<number, number>({ maxItems: 1_000 });
    for (let i = 0; i < 2_500; i++) cache.set(i, i);
    expect(cache.size).toBe(1_000);
    expect([...cache.keys()]).toEqual(Array.from({ length: 1_000 }, (_, i) => 2_499 - i));
  });
});

describe('iteration', () => {
  const filled = () => {
    const cache = new LRUCache<string, number>({ maxItems: 5 });
    for (const [key, value] of Object.entries({ a: 1, b: 2, c: 3, d: 4 })) cache.set(key, value);
    return cache;
  };

  it('goes from the newest to the oldest in every form', () => {
    const cache = filled();
    const pairs = [
      ['d', 4],
      ['c', 3],
      ['b', 2],
      ['a', 1],
    ];
    expect([...cache]).toEqual(pairs);
    expect([...cache.entries()]).toEqual(pairs);
    expect([...cache.keys()]).toEqual(['d', 'c', 'b', 'a']);
    expect([...cache.values()]).toEqual([4, 3, 2, 1]);
    const visited: unknown[] = [];
    const self = {};
    cache.forEach(function (this: unknown, value, key, given) {
      visited.push([key, value, given === cache, this === self]);
    }, self);
    expect(visited).toEqual(pairs.map(([key, value]) => [key, value, true, true]));
  });

  it('survives changes underway', () => {
    const cache = filled();
    const seen: [string, number][] = [];
    for (const [key, value] of cache) {
      seen.push([key, value]);
      if (key === 'd') {
        cache.delete('c');
        cache.get('a');
        cache.set('b', 20);
        cache.set('e', 5);
      }
    }
    expect(seen).toEqual([
      ['d', 4],
      ['b', 20],
      ['a', 1],
    ]);
    for (const key of cache.keys()) cache.get(key);
    for (const key of cache.keys()) cache.delete(key);
    expect(cache.isEmpty()).toBe(true);
  });
});

describe('onEvict', () => {
  it('is not called for what the caller replaces, deletes or clears', () => {
    const calls: unknown[] = [];
    const cache = new LRUCache<string, number>({ maxItems: 2, onEvict: (...call) => calls.push(call) });
    cache.set('a', 1).set('a', 2).set('b', 3);
    cache.delete('a');
    cache.clear();
    expect(calls).toEqual([]);
  });

  it('may put the evicted value back', () => {
    const cache: LRUCache<string, number> = new LRUCache<string, number>({
      maxItems: 2,
      onEvict: (value, key) => {
        if (key === 'keep') cache.set(key, value);
      },
    });
    cache.set('keep', 0).set('a', 1).set('b', 2).set('c', 3);
    expect([...cache.keys()]).toEqual(['c', 'keep']);
  });

  it('that throws leaves the cache whole, and the rest is still reported', () => {
    const reported: [string, EvictionReason][] = [];
    const cache = new LRUCache<string, number>({
      maxItems: 4,
      maxMemoryBytes: 100,
      sizeCalculator: (value) => value,
      onEvict: (_value, key, reason) => {
        reported.push([key, reason]);
        throw new Error(`evicting ${key}`);
      },
    });
    cache.set('a', 20).set('b', 20).set('c', 20).set('d', 20);
    expect(() => cache.set('e', 60)).toThrow('evicting a');
    expect(reported).toEqual([
      ['a', 'max-items'],
      ['b', 'max-memory'],
    ]);
    expect([...cache]).toEqual([
      ['e', 60],
      ['d', 20],
      ['c', 20],
    ]);
    expect(cache.memoryUsage).toBe(100);
  });
});

describe('sizeCalculator', () => {
  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, '5', undefined])(
    'that returns %s is refused, and nothing changes',
    (size) => {
      let bad = false;
      const cache = new LRUCache<string, number>({
        maxMemoryBytes: 100,
        sizeCalculator: () => (bad ? (size as number) : 10),
      });
      cache.set('a', 1);
      bad = true;
      expect(() => cache.set('a', 2)).toThrow(RangeError);
      expect(() => cache.set('b', 2)).toThrow(/whole number/);
      expect([...cache]).toEqual([['a', 1]]);
      expect(cache.memoryUsage).toBe(10);
    },
  );

  it('may use the cache', () => {
    const cache: LRUCache<string, number> = new LRUCache<string, number>({
      maxItems: 2,
      sizeCalculator: (value) => {
        if (value === 1) cache.set('a', 2).set('b', 3).set('c', 4);
        return value;
      },
    });
    cache.set('a', 1);
    expect([...cache]).toEqual([
      ['a', 1],
      ['c', 4],
    ]);
    expect(cache.memoryUsage).toBe(5);
  });

  it('with a limit on entries alone is counted too', () => {
    const cache = new LRUCache<string, number>({ maxItems: 2, sizeCalculator: (value) => value });
    cache.set('a', Number.MAX_SAFE_INTEGER - 1).set('b', 1);
    expect(cache.memoryUsage).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('sizes by estimate', () => {
  it.each<[string, unknown, number]>([
    ['number', 1.5, 8],
    ['boolean', true, 8],
    ['null', null, 8],
    ['undefined', undefined, 8],
    ['symbol', Symbol('s'), 8],
    ['string', 'abc', 22],
    ['string beyond Latin', '😀', 20],
    ['small bigint', 5n, 17],
    ['bigint', -(2n ** 64n), 16 + 9],
    ['function', () => {}, 64],
    ['empty object', {}, 16],
    ['flat object', { a: 1, bc: 'x' }, 16 + (8 + 2) + (8 + 4 + 18)],
    ['array', [1, 'a', null], 16 + 24 + 18],
    ['nested', { a: [{}] }, 16 + 10 + 24 + 16],
    ['Map', new Map([['a', {}]]), 32 + 32 + 18 + 16],
    ['Set', new Set(['a', 1]), 32 + 48 + 18],
    ['Date', new Date(0), 32],
    ['Uint8Array', new Uint8Array(100), 164],
    ['view on a part', new Float64Array(new ArrayBuffer(800), 8, 2), 80],
    ['DataView', new DataView(new ArrayBuffer(10)), 74],
    ['ArrayBuffer', new ArrayBuffer(10), 74],
    ['Blob', new Blob(['12345']), 69],
    ['a Buffer, as any Uint8Array', Buffer.from('123'), 67],
    [
      'instance',
      new (class Point {
        x = 1;
      })(),
      26,
    ],
  ])('%s', (_name, value, bytes) => {
    expect(estimateSize(value)).toBe(bytes);
  });

  it('counts what is referred to twice once, ends in cycles, and is not stopped by depth', () => {
    const shared = { text: 'x'.repeat(100) };
    const once = estimateSize([shared]);
    expect(estimateSize([shared, shared])).toBe(once + 8);
    const cycle: { self?: unknown; list: unknown[] } = { list: [] };
    cycle.self = cycle;
    cycle.list.push(cycle, cycle.list);
    expect(estimateSize(cycle)).toBe(16 + 16 + 16 + 16 + 16);
    let deep: unknown = null;
    for (let i = 0; i < 200_000; i++) deep = [deep];
    expect(estimateSize(deep)).toBe(200_000 * 24);
  });

  it('stops counting when it is enough', () => {
    const holes: unknown[] = [];
    holes.length = 4_000_000_000;
    const cache = new LRUCache<string, unknown>();
    expect(cache.set('a', holes).has('a')).toBe(false);
    const visited: string[] = [];
    const watched = (name: string) => ({
      get bytes() {
        visited.push(name);
        return new Uint8Array(100);
      },
    });
    expect(estimateSize([watched('a'), watched('b'), watched('c')], 150)).toBeGreaterThan(150);
    expect(visited.length).toBeLessThan(3);
  });

  it('key and value count, and what an entry costs beside them', () => {
    const cache = new LRUCache<string, string>({ maxMemoryBytes: 10_000 });
    cache.set('key', 'value');
    expect(cache.memoryUsage).toBe(ENTRY_BYTES + estimateSize('key') + estimateSize('value'));
  });

  it.each([
    ['by entries', { maxItems: 10 }],
    ['by bytes', { maxMemoryBytes: 10_000 }],
    ['by default', {}],
  ])(
    'are fixed when an entry is set, in a cache bounded %s: what becomes of the value does not matter',
    (_name, limits) => {
      const cache = new LRUCache<object, unknown[]>(limits);
      const key: { note?: string } = {};
      const value: unknown[] = [];
      cache.set(key, value);
      const before = ENTRY_BYTES + estimateSize({}) + estimateSize([]);
      expect(cache.memoryUsage).toBe(before);
      value.push(1, 'x'.repeat(1_000));
      key.note = 'y';
      expect(cache.memoryUsage).toBe(before);
      cache.get(key);
      expect(cache.memoryUsage).toBe(before);
      // Set again, it is measured again; what leaves takes with it what it came with.
      cache.set(key, value);
      expect(cache.memoryUsage).toBe(ENTRY_BYTES + estimateSize(key) + estimateSize(value));
      value.length = 0;
      cache.delete(key);
      expect(cache.memoryUsage).toBe(0);
    },
  );

  it('count own properties only, each read once, in the plain object and in what it refers to', () => {
    let reads = 0;
    const counted = {
      get a() {
        reads++;
        return { b: 'x' };
      },
      c: 1,
      d: null,
      e: 'yz',
    };
    expect(estimateSize(counted)).toBe(16 + 4 * (8 + 2) + (16 + 10 + 18) + 20);
    expect(reads).toBe(1);
    const self: { self?: unknown; a: number } = { a: 1 };
    self.self = self;
    expect(estimateSize(self)).toBe(16 + 16 + 10);
    expect(estimateSize(Object.create(null, { a: { value: 1, enumerable: true } }))).toBe(26);
    expect(estimateSize(Object.create({ inherited: 'x' }))).toBe(16);
    expect(estimateSize({ a: { b: new Uint8Array(1_000) } }, 10)).toBeGreaterThan(10);
    Object.defineProperty(Object.prototype, 'polluted', { get: () => 'x', enumerable: true, configurable: true });
    let polluted: number;
    try {
      polluted = estimateSize({ a: 1 });
    } finally {
      Reflect.deleteProperty(Object.prototype, 'polluted');
    }
    expect(polluted).toBe(26);
    expect(estimateSize(JSON.parse('{"__proto__":1}'))).toBe(16 + 8 + 18);
  });
});
