/** The store for other tabs: each is told what it looks at, and one that hears nothing costs no more than what it has to be told. */
import { beforeEach, expect, it } from 'vitest';
import type { ChangedEvent, HostEvent, Status } from '../ts/host.js';
import type { Leadership } from '../ts/leadership.js';
import type { LocalHost } from '../ts/local-host.js';
import type { Mailbox, ToFollower, ToLeader } from '../ts/tab-messages.js';
import { TabServer } from '../ts/tab-server.js';

const TERM = 3;
const bytes = (n: number) => new Uint8Array([n]);

let tell: (event: HostEvent) => void;
let sent: { tab: number; message: ToFollower }[];
let watched: readonly string[];
let die: () => void;
let server: TabServer;

beforeEach(() => {
  sent = [];
  const host = {
    subscribe: (listener: typeof tell) => {
      tell = listener;
      return () => {};
    },
    call: (request: { call: string; prefixes?: readonly string[] }) => {
      if (request.prefixes) watched = request.prefixes;
      return Promise.resolve(request.call);
    },
    opened: () => ({ size: 1 }),
  };
  const mailbox = { send: (tab: number, message: ToFollower) => sent.push({ tab, message }), forget: () => {} };
  const leadership = {
    mourn: (_: number, gone: () => void) => {
      die = gone;
      return () => {};
    },
  };
  server = new TabServer(
    host as unknown as LocalHost,
    mailbox as unknown as Mailbox,
    leadership as unknown as Leadership,
    TERM,
    ['own/'],
    () => {},
  );
});

const hear = (message: Partial<ToLeader>) => server.hear({ tab: 1, term: TERM, ...message } as ToLeader);
const join = (prefixes: readonly string[]) => hear({ say: 'join', watched: prefixes, visible: true });
const ping = (heard: number) => hear({ say: 'ping', visible: true, heard });

function changed(key: string, value: number | undefined, previous?: number): ChangedEvent {
  const maybe = (n: number | undefined) => (n === undefined ? undefined : bytes(n));
  const columns = { keys: [key], values: [maybe(value)], previous: [maybe(previous)] };
  return { event: 'changed', ...columns, origins: ['remote'], conflicts: [], size: 5 };
}

/** The events that were sent, taken. */
function events(): HostEvent[] {
  return sent.splice(0).flatMap(({ message }) => (message.say === 'event' ? [message.event] : []));
}

it('asks for what any tab looks at, and tells each what it looks at', () => {
  join(['a/']);
  expect(watched).toEqual(['a/', 'own/']);
  events();
  tell(changed('a/1', 1));
  tell(changed('own/1', 1));
  expect(events()).toMatchObject([{ keys: ['a/1'] }, { keys: [], size: 5 }]);
  hear({ say: 'watch', prefixes: [''] });
  expect(watched).toEqual(['']);
  die();
  expect(watched).toEqual(['own/']);
  expect(server.size).toBe(0);
});

it('answers calls of those who have joined this term', async () => {
  hear({ say: 'ask', id: 1, request: { call: 'has', key: 'k' } });
  join([]);
  sent.length = 0;
  hear({ say: 'ask', id: 2, request: { call: 'has', key: 'k' } });
  hear({ say: 'ask', id: 3, term: TERM + 1, request: { call: 'has', key: 'k' } });
  await Promise.resolve();
  expect(sent.map(({ message }) => message)).toEqual([{ say: 'reply', term: TERM, id: 2, reply: 'has' }]);
});

it('keeps what a tab that hears nothing has to be told, once a key, and tells it when it is back', () => {
  join(['']);
  events();
  for (let n = 0; n < 10_000; n += 1) tell(changed(`k${n % 3}`, n % 250, n < 3 ? undefined : (n - 3) % 250));
  tell({ event: 'status', status: { pending: 1 } as Status });
  tell({ event: 'status', status: { pending: 0 } as Status });
  const first = events();
  expect(first).toHaveLength(256);
  ping(200);
  expect(events()).toEqual([]);
  ping(256);
  const [late, status, ...none] = events() as [ChangedEvent, HostEvent];
  expect(none).toEqual([]);
  expect(status).toEqual({ event: 'status', status: { pending: 0 } });
  expect([...late.keys].sort()).toEqual(['k0', 'k1', 'k2']);
  for (const [at, key] of late.keys.entries()) {
    // What it was told last of the key, and how the key reads now.
    const told = (first as ChangedEvent[]).filter(({ keys }) => keys[0] === key).at(-1);
    expect(late.previous[at]).toEqual(told?.values[0]);
  }
  tell(changed('after', 1));
  expect(events()).toHaveLength(1);
});
