/** Concurrent values of one key: all of them can be read, and one write ends the conflict. */
import { UnreadableValue } from '@gossipstore/core';
import { expect, it } from 'vitest';
import { collect, conflict, open } from './store.js';

it('gives all concurrent values, the winner first, with who wrote them and when', async () => {
  const store = await open<string>();
  const before = Date.now();
  await conflict(store, 'k', 'first', 'second');
  const { values } = await store.getSiblings('k');
  expect(values.map(({ value }) => value)).toEqual(['second', 'first']);
  expect(await store.get('k')).toBe('second');
  for (const { replica, time } of values) {
    expect(replica).toMatch(/^[0-9a-f]{32}$/);
    expect(time).toBeGreaterThanOrEqual(before);
    expect(time).toBeLessThanOrEqual(Date.now() + 1);
  }
});

it('ends a conflict by writing with the context, and lists the keys that have one', async () => {
  const store = await open<string>();
  await store.set('calm', 'x');
  for (const key of ['b', 'a', 'c/1']) await conflict(store, key, 'first', 'second');
  expect(await collect(store.conflicts())).toEqual(['a', 'b', 'c/1']);
  expect(await collect(store.conflicts({ prefix: 'c/' }))).toEqual(['c/1']);
  expect(await collect(store.conflicts({ reverse: true, limit: 2 }))).toEqual(['c/1', 'b']);

  const { context } = await store.getSiblings('a');
  await store.set('a', 'merged', { context });
  const { context: seen } = await store.getSiblings('b');
  await store.delete('b', { context: seen });
  expect((await store.getSiblings('a')).values.map(({ value }) => value)).toEqual(['merged']);
  expect(await store.has('b')).toBe(false);
  expect(await collect(store.conflicts())).toEqual(['c/1']);
});

it('keeps what a context has not seen', async () => {
  const store = await open<string>();
  await store.set('k', 'old');
  const { context } = await store.getSiblings('k');
  await store.set('k', 'unseen');
  await store.delete('k', { context });
  expect(await store.get('k')).toBe('unseen');
});

it('survives structured clone', async () => {
  const store = await open<string>();
  await conflict(store, 'k', 'first', 'second');
  const { context } = structuredClone(await store.getSiblings('k'));
  await store.set('k', 'merged', { context });
  expect((await store.getSiblings('k')).values).toHaveLength(1);
});

it('has no values and a context for a key that is not there', async () => {
  const store = await open<string>();
  const { values, context } = await store.getSiblings('k');
  expect(values).toEqual([]);
  await store.set('k', 'x', { context });
  expect(await store.get('k')).toBe('x');
});

it('tells of a conflict by an event', async () => {
  const store = await open<string>();
  const keys: string[] = [];
  store.addEventListener('conflict', ({ key }) => keys.push(key));
  await store.set('calm', 'x');
  await conflict(store, 'k', 'first', 'second');
  expect(keys).toEqual(['k']);
});

it('gives a value that cannot be read as such, without hiding the others, and keeps its bytes when it is chosen', async () => {
  const store = await open<unknown>();
  const bytes = new Uint8Array([0xff, 0x00, 0x01]);
  const unreadable = new UnreadableValue(bytes, new Error('made up') as never);
  await store.set('a', 'fine');
  await store.set('b', unreadable);
  await store.set('c', 'fine');
  const [, found] = await collect(store.values());
  expect(found).toBeInstanceOf(UnreadableValue);
  expect(found).toMatchObject({ bytes, error: { code: 'ValueCorrupt' } });
  const { values, context } = await store.getSiblings('b');
  await store.set('b', values[0]?.value, { context });
  expect(await store.get('b')).toMatchObject({ bytes });
});
