/** Who is present, as a page sees it: what it says, and what it hears of others. Between browsers it is tested in `e2e/`. */
import type { Present } from '@gossipstore/core';
import { beforeEach, expect, it, vi } from 'vitest';
import type { EngineHost, HostEvent, Request } from '../ts/host.js';
import { UnreadableValue } from '../ts/payload.js';
import { Presence } from '../ts/presence.js';
import { encodeValue } from '../ts/value-codec.js';
import { open } from './store.js';

let asked: Request[];
let tell: (present: readonly string[], changed: Record<string, unknown>) => void;
let presence: Presence;

const said = (values: Record<string, unknown>) =>
  Object.entries(values).map(([id, value]) => [id, encodeValue(value)] as const);

beforeEach(() => {
  asked = [];
  let listener: (event: HostEvent) => void = () => {};
  const host: EngineHost = {
    call: (request) => {
      asked.push(request);
      return Promise.resolve(undefined) as never;
    },
    subscribe: (given) => {
      listener = given;
      return () => {};
    },
  };
  tell = (present, changed) => listener({ event: 'presence', present, changed: said(changed) });
  const limits = { keyBytes: 1_024, transactionWrites: 65_536, presenceBytes: 4_096 };
  const opened = { store: '', limits, size: 0, status: {} as never, presences: said({ ada: { name: 'Ada' } }) };
  presence = new Presence(host, opened);
});

it('shows who is there already, who comes, changes and goes', () => {
  const ada: Present = { id: 'ada', value: { name: 'Ada' } };
  expect(presence.others).toEqual([ada]);
  let calls = 0;
  const count = () => {
    calls += 1;
  };
  const stops = [presence.subscribe(count), presence.subscribe(count)];
  tell(['ada', 'ben'], { ben: 1 });
  expect(presence.others).toEqual([ada, { id: 'ben', value: 1 }]);
  const before = presence.others;
  tell(['ada', 'ben'], { ada: { name: 'Ada L.' } });
  expect(presence.others).toEqual([
    { id: 'ada', value: { name: 'Ada L.' } },
    { id: 'ben', value: 1 },
  ]);
  expect(presence.others[1], 'what has not changed is the same object').toBe(before[1]);
  expect(calls).toBe(4);
  stops[0]?.();
  tell(['ben'], {});
  expect(presence.others).toEqual([{ id: 'ben', value: 1 }]);
  expect(calls).toBe(5);
});

it('does not show this tab, and tells of nothing that is no news', () => {
  let calls = 0;
  presence.subscribe(() => {
    calls += 1;
  });
  const before = presence.others;
  tell(['ada', presence.id], { [presence.id]: 'this one' });
  tell(['ada', presence.id], {});
  expect(presence.others).toBe(before);
  expect(calls).toBe(0);
});

it('gives a listener that throws to nobody else', async () => {
  const uncaught = vi.fn();
  process.once('uncaughtException', uncaught);
  const calls: string[] = [];
  presence.subscribe(() => {
    throw new Error('of the application');
  });
  presence.subscribe(() => calls.push('heard'));
  tell([], {});
  expect(calls).toEqual(['heard']);
  await vi.waitFor(() => expect(uncaught).toHaveBeenCalledOnce());
});

it('says what is set, once it is known to be sayable', () => {
  presence.set({ cursor: 3 });
  expect(presence.value).toEqual({ cursor: 3 });
  presence.set(undefined);
  expect(asked).toEqual([
    { call: 'present', id: presence.id, value: encodeValue({ cursor: 3 }) },
    { call: 'present', id: presence.id, value: undefined },
  ]);
  expect(presence.id).toMatch(/^[0-9a-f]{16}$/);
  const refusal = (code: string, words: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(words) });
  expect(() => presence.set('x'.repeat(5_000))).toThrow(refusal('ValueTooLarge', '4096'));
  expect(() => presence.set(() => {})).toThrow(refusal('ValueNotStorable', 'function'));
  expect(presence.value).toBeUndefined();
  expect(asked).toHaveLength(2);
});

it('a store has it, alone as well, and not beyond its end', async () => {
  const store = await open({ storage: 'memory', relays: [] });
  expect(store.presence.others).toEqual([]);
  store.presence.set({ name: 'Ada' });
  await store.set('k', 'v');
  expect(store.presence.others).toEqual([]);
  expect(store.size).toBe(1);
  const other = await open({ storage: 'memory', relays: [] });
  expect(other.presence.id).not.toBe(store.presence.id);
  await store.close();
  // As a page does while it is being left.
  store.presence.set({ name: 'Ada' });
});

it('what a newer version says is not taken for something else', () => {
  const bytes = new Uint8Array([255, 255]);
  const host = { call: () => Promise.resolve(undefined), subscribe: () => () => {} } as unknown as EngineHost;
  const limits = { keyBytes: 1, transactionWrites: 1, presenceBytes: 1 };
  const opened = { store: '', limits, size: 0, status: {} as never, presences: [['eve', bytes]] as const };
  const [eve] = new Presence(host, opened).others;
  expect(eve?.value).toBeInstanceOf(UnreadableValue);
});
