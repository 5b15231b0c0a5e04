/** Counters: additions that are summed, what they read as, and what is no counter. */
import { expect, it } from 'vitest';
import { collect, failure, open } from './store.js';

it('counts up and down from 0', async () => {
  const store = await open();
  const likes = store.counter('likes');
  expect(likes.key).toBe('likes');
  expect(await likes.value()).toBe(0);
  expect(await store.has('likes')).toBe(false);
  await likes.increment();
  await likes.increment(3);
  await likes.decrement();
  expect(await likes.value()).toBe(3);
  await likes.decrement(10);
  expect(await likes.value()).toBe(-7);
});

it('counts calls that nobody awaited, in whatever handle', async () => {
  const store = await open();
  const done = Array.from({ length: 100 }, () => store.counter('likes').increment(1_000));
  expect(await store.counter('likes').value()).toBe(100_000);
  await Promise.all(done);
});

it('reads as a number wherever values are read', async () => {
  const store = await open<number>();
  const changes = store.changes();
  await store.counter('likes').increment(1_000_000);
  expect(await store.get('likes')).toBe(1_000_000);
  expect(await collect(store.entries())).toEqual([['likes', 1_000_000]]);
  expect((await store.getSiblings('likes')).values.map(({ value }) => value)).toEqual([1_000_000]);
  expect(await collect(store.conflicts())).toEqual([]);
  await store.close();
  expect((await collect(changes)).map(({ key, value }) => [key, value])).toEqual([['likes', 1_000_000]]);
});

it('begins again at 0 after a delete', async () => {
  const store = await open();
  const likes = store.counter('likes');
  await likes.increment(5);
  await store.delete('likes');
  expect(await likes.value()).toBe(0);
  await likes.increment(2);
  expect(await likes.value()).toBe(2);
});

it('takes safe integers only', async () => {
  const likes = (await open()).counter('likes');
  for (const by of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1' as never, 1n as never, null as never]) {
    await failure('InvalidOptions', () => likes.increment(by));
    await failure('InvalidOptions', () => likes.decrement(by));
  }
  expect(await likes.value()).toBe(0);
});

it('says when it is beyond what JavaScript can count, and comes back', async () => {
  const likes = (await open()).counter('likes');
  await likes.increment(Number.MAX_SAFE_INTEGER);
  expect(await likes.value()).toBe(Number.MAX_SAFE_INTEGER);
  await likes.increment();
  await failure('CounterOverflow', () => likes.value());
  await likes.decrement();
  expect(await likes.value()).toBe(Number.MAX_SAFE_INTEGER);
});

it('refuses to count beyond 64 bits', async () => {
  const likes = (await open()).counter('likes');
  for (let times = 0; times < 1_024; times++) likes.increment(Number.MAX_SAFE_INTEGER);
  await likes.increment(1_022);
  await failure('CounterOverflow', () => likes.increment(2));
  await likes.increment(1);
});

it('leaves a value that is no counter alone', async () => {
  const store = await open();
  await store.set('name', 'Ada');
  const name = store.counter('name');
  await failure('NotACounter', () => name.increment());
  await failure('NotACounter', () => name.value());
  expect(await store.get('name')).toBe('Ada');
  // A number that was set is a value, too: nobody's additions are in it.
  await store.set('age', 36);
  await failure('NotACounter', () => store.counter('age').increment());
  await store.counter('likes').increment();
  await store.set('likes', 'many');
  await failure('NotACounter', () => store.counter('likes').increment());
});

it('keeps what was added beside a concurrent value, as siblings', async () => {
  const store = await open<unknown>();
  const likes = store.counter('likes');
  const { context } = await store.getSiblings('likes');
  await likes.increment(2);
  await store.set('likes', 'none', { context });
  const { values } = await store.getSiblings('likes');
  expect(values.map(({ value }) => value).sort()).toEqual([2, 'none']);
  expect(await collect(store.conflicts())).toEqual(['likes']);
});

it('checks its key, and fails when the store is closed', async () => {
  const store = await open();
  await failure('KeyEmpty', () => store.counter(''));
  const likes = store.counter('likes');
  await store.close();
  await failure('Closed', () => likes.increment());
  await failure('Closed', () => likes.value());
});
