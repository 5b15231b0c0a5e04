/**
 * The live stream of changes: nothing is missed from the moment it is made, what a slow consumer has not taken is kept once a
 * key, and it ends when it should.
 */
import type { Change } from '@gossipstore/core';
import { describe, expect, it } from 'vitest';
import { ChangeStream } from '../ts/changes.js';
import type { ChangedEvent } from '../ts/host.js';
import { encodeValue } from '../ts/value-codec.js';
import { collect, failure, open } from './store.js';

async function take<V>(changes: AsyncIterator<Change<V>>, count: number): Promise<Change<V>[]> {
  const taken: Change<V>[] = [];
  while (taken.length < count) {
    const step = await changes.next();
    if (step.done) throw new Error(`ended after ${taken.length} changes`);
    taken.push(step.value);
  }
  return taken;
}

it('tells what a key reads now and read before, from the call on', async () => {
  const store = await open<number>();
  await store.set('before', 0);
  const changes = store.changes();
  const told = take(changes, 4);
  await store.set('a', 1);
  await store.set('a', 2);
  await store.set('b', 3);
  await store.delete('a');
  expect(await told).toEqual([
    { key: 'a', value: 1, previous: undefined, origin: 'local' },
    { key: 'a', value: 2, previous: 1, origin: 'local' },
    { key: 'b', value: 3, previous: undefined, origin: 'local' },
    { key: 'a', value: undefined, previous: 2, origin: 'local' },
  ]);
});

it('tells each consumer what is under its prefix', async () => {
  const store = await open<number>();
  const [a, ab, all] = [store.changes({ prefix: 'a' }), store.changes({ prefix: 'ab' }), store.changes()];
  await store.setMany([
    ['a', 1],
    ['ab', 2],
    ['b', 3],
  ]);
  const keys = async (changes: AsyncIterator<Change<number>>, count: number) =>
    (await take(changes, count)).map(({ key }) => key).sort();
  expect(await keys(a, 2)).toEqual(['a', 'ab']);
  expect(await keys(ab, 1)).toEqual(['ab']);
  expect(await keys(all, 3)).toEqual(['a', 'ab', 'b']);
  await all.return?.();
  await store.set('abc', 4);
  expect(await keys(a, 1)).toEqual(['abc']);
  expect(await keys(ab, 1)).toEqual(['abc']);
  expect(await all.next()).toEqual({ done: true, value: undefined });
});

it('gives a consumer that comes late the newest value of each key', async () => {
  const store = await open<number>();
  await store.set('gone', 0);
  const changes = store.changes();
  for (let n = 0; n < 100; n++) await store.set('a', n);
  await store.set('b', 1);
  await store.set('passing', 1);
  await store.delete('passing');
  await store.delete('gone');
  await store.set('a', 100);
  await store.close();
  expect(await collect(changes)).toEqual([
    { key: 'b', value: 1, previous: undefined, origin: 'local' },
    { key: 'gone', value: undefined, previous: 0, origin: 'local' },
    { key: 'a', value: 100, previous: undefined, origin: 'local' },
  ]);
});

it('ends when left, when the store is closed, and by throwing when aborted', async () => {
  const store = await open<number>();
  for await (const { key } of left(store.changes(), () => store.set('a', 1))) {
    expect(key).toBe('a');
    break;
  }

  const reason = new Error('enough');
  const controller = new AbortController();
  const aborted = store.changes({ signal: controller.signal });
  const waiting = aborted.next();
  await store.set('b', 1);
  await waiting;
  await store.set('c', 1);
  const next = take(aborted, 2);
  controller.abort(reason);
  await expect(next).rejects.toBe(reason);
  expect(await aborted.next()).toEqual({ done: true, value: undefined });
  await expect(store.changes({ signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);

  const ended = store.changes();
  const end = ended.next();
  await store.close();
  expect(await end).toEqual({ done: true, value: undefined });
});

/** The same iterable, with something done once somebody listens. */
function left<T>(items: AsyncIterableIterator<T>, first: () => Promise<unknown>): AsyncIterableIterator<T> {
  void first();
  return items;
}

it('checks its options', async () => {
  const store = await open();
  await failure('InvalidOptions', () => store.changes({ prefx: 'a' } as object));
  await failure('InvalidOptions', () => store.changes({ prefix: 7 } as object));
  await failure('InvalidOptions', () => store.changes({ signal: {} as AbortSignal }));
});

describe('the buffer', () => {
  const event = (key: string, previous: number | undefined, value: number | undefined): ChangedEvent => {
    const bytes = (number: number | undefined) => (number === undefined ? undefined : encodeValue(number));
    const columns = { keys: [key], previous: [bytes(previous)], values: [bytes(value)], origins: ['remote'] as const };
    return { event: 'changed', ...columns, conflicts: [], size: 0 };
  };

  it('does not grow while keys come and go', async () => {
    const stream = new ChangeStream<number>('', undefined, () => {});
    stream.push(event('stays', undefined, 1));
    for (let n = 0; n < 10_000; n++) {
      stream.push(event(`passing ${n}`, undefined, n));
      stream.push(event(`passing ${n}`, n, undefined));
    }
    stream.end();
    expect(await collect(stream)).toEqual([{ key: 'stays', value: 1, previous: undefined, origin: 'remote' }]);
  });

  it('hands changes to several waiting steps in order', async () => {
    const stream = new ChangeStream<number>('', undefined, () => {});
    const steps = Promise.all([stream.next(), stream.next(), stream.next()]);
    stream.push(event('a', undefined, 1));
    stream.push(event('b', undefined, 2));
    stream.end();
    expect((await steps).map(({ value }) => value?.key)).toEqual(['a', 'b', undefined]);
  });
});
