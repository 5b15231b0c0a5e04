/**
 * The golden vectors of the cache, `core/tests/vectors/lru.json`: operations, and what each must do. The operations are
 * written down here, the outcomes come from the model. Rust and TypeScript read the same file.
 *
 * To write the file anew: `GOSSIPSTORE_WRITE_VECTORS=1 npx vitest run tests/lru-cache.test.ts` in `wasm/`.
 */

import { type Limits, LruModel, type Operation, type Outcome } from './lru-model.js';
import { seededRandom } from './random.js';

export const VECTORS_URL = new URL('../../core/tests/vectors/lru.json', import.meta.url);

export interface Case extends Limits {
  name: string;
  steps: (Operation & Outcome)[];
}

const set = (key: string, value: string, size: number): Operation => ({ op: 'set', key, value, size });
const get = (key: string): Operation => ({ op: 'get', key });
const peek = (key: string): Operation => ({ op: 'peek', key });
const has = (key: string): Operation => ({ op: 'has', key });
const del = (key: string): Operation => ({ op: 'delete', key });
const mutate = (key: string, size: number): Operation => ({ op: 'mutate', key, size });
const clear: Operation = { op: 'clear' };

export function vectors(): Case[] {
  return [
    make('the oldest goes when there are too many', { maxItems: 2 }, [
      set('a', 'a1', 1),
      set('b', 'b1', 1),
      set('c', 'c1', 1),
      has('a'),
      get('a'),
      set('d', 'd1', 1),
    ]),
    make('a get is a use; peek and has are not', { maxItems: 3 }, [
      set('a', 'a1', 1),
      set('b', 'b1', 1),
      set('c', 'c1', 1),
      get('a'),
      peek('b'),
      has('b'),
      set('d', 'd1', 1),
      set('e', 'e1', 1),
      set('f', 'f1', 1),
    ]),
    make('an update is a use and replaces without a word', { maxItems: 2 }, [
      set('a', 'a1', 1),
      set('b', 'b1', 1),
      set('a', 'a2', 1),
      set('c', 'c1', 1),
      peek('a'),
    ]),
    make('over both limits at once evicts only as much as needed', { maxItems: 4, maxMemoryBytes: 100 }, [
      set('a', 'a1', 30),
      set('b', 'b1', 20),
      set('c', 'c1', 25),
      set('d', 'd1', 25),
      set('e', 'e1', 30),
      set('f', 'f1', 45),
      set('g', 'g1', 1),
    ]),
    make('an update obeys the byte limit', { maxMemoryBytes: 100 }, [
      set('a', 'a1', 40),
      set('b', 'b1', 40),
      set('b', 'b2', 60),
      set('b', 'b3', 61),
      set('a', 'a2', 39),
      set('a', 'a3', 100),
      set('a', 'a4', 1),
      set('c', 'c1', 99),
    ]),
    make('the size is fixed when the value is set', { maxMemoryBytes: 100 }, [
      set('a', 'a1', 40),
      mutate('a', 4_000),
      set('b', 'b1', 40),
      mutate('b', 0),
      del('a'),
      set('c', 'c1', 60),
      mutate('c', 1),
      set('d', 'd1', 1),
      set('c', 'c2', 10),
      clear,
    ]),
    make('a value larger than the whole budget is not kept', { maxItems: 10, maxMemoryBytes: 100 }, [
      set('a', 'a1', 50),
      set('b', 'b1', 101),
      has('b'),
      set('a', 'a2', 1_000),
      has('a'),
      set('c', 'c1', 100),
    ]),
    make('one entry', { maxItems: 1, maxMemoryBytes: 10 }, [
      set('a', 'a1', 10),
      set('a', 'a2', 10),
      set('b', 'b1', 10),
      set('c', 'c1', 11),
      del('b'),
      del('b'),
      set('d', 'd1', 0),
    ]),
    make('sizes of zero count nothing but a place', { maxItems: 3, maxMemoryBytes: 1 }, [
      set('a', 'a1', 0),
      set('b', 'b1', 0),
      set('c', 'c1', 1),
      set('d', 'd1', 0),
      set('e', 'e1', 1),
    ]),
    make('deleting in the middle and at both ends', { maxItems: 5 }, [
      set('a', 'a1', 1),
      set('b', 'b1', 2),
      set('c', 'c1', 3),
      set('d', 'd1', 4),
      set('e', 'e1', 5),
      del('c'),
      del('a'),
      del('e'),
      set('f', 'f1', 6),
      set('g', 'g1', 7),
      set('h', 'h1', 8),
      set('i', 'i1', 9),
    ]),
    make('clear forgets everything and the cache goes on', { maxItems: 2, maxMemoryBytes: 10 }, [
      set('a', 'a1', 6),
      set('b', 'b1', 3),
      clear,
      has('a'),
      set('c', 'c1', 9),
      set('d', 'd1', 1),
      set('e', 'e1', 1),
    ]),
    make('keys as they come', { maxItems: 4 }, [
      set('', 'empty', 1),
      set('__proto__', 'proto', 1),
      set('ä€😀', 'unicode', 1),
      set('constructor', 'constructor', 1),
      get(''),
      get('__proto__'),
      set('toString', 'toString', 1),
    ]),
    random('random operations, by entries', { maxItems: 5 }, 1),
    random('random operations, by bytes', { maxMemoryBytes: 60 }, 2),
    random('random operations, by both', { maxItems: 6, maxMemoryBytes: 60 }, 3),
  ];
}

/** A step a line: a change of one step is a change of one line. */
export function printVectors(cases: Case[]): string {
  const printed = cases.map(({ steps, ...head }) => {
    const lines = steps.map((step) => `    ${JSON.stringify(step)}`);
    return `  ${JSON.stringify(head).slice(0, -1)},"steps":[\n${lines.join(',\n')}\n  ]}`;
  });
  return `[\n${printed.join(',\n')}\n]\n`;
}

/** An operation on few keys, so that most of them hit something. */
export function randomOperation(random: () => number, keys: number, largest: number, serial: number): Operation {
  const key = `k${Math.floor(random() * keys)}`;
  const size = Math.floor(random() * (largest + 1));
  const choice = random();
  if (choice < 0.5) return set(key, `v${serial}`, size);
  if (choice < 0.75) return get(key);
  if (choice < 0.8) return peek(key);
  if (choice < 0.85) return has(key);
  if (choice < 0.92) return mutate(key, size);
  if (choice < 0.995) return del(key);
  return clear;
}

function random(name: string, limits: Limits, seed: number): Case {
  const next = seededRandom(seed);
  return make(
    name,
    limits,
    Array.from({ length: 120 }, (_, serial) => randomOperation(next, 9, 32, serial)),
  );
}

function make(name: string, limits: Limits, operations: Operation[]): Case {
  const model = new LruModel(limits);
  return { name, ...limits, steps: operations.map((operation) => ({ ...operation, ...model.apply(operation) })) };
}
