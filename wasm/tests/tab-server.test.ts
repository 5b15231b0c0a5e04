/** The store for other tabs: each is told what it looks at, and one that hears nothing costs no more than what it has to be told. */
import { beforeEach, expect, it } from 'vitest';
import type { ChangedEvent, HostEvent, Request, Status } from '../ts/host.js';
import type { Leadership } from '../ts/leadership.js';
import type { LocalHost } from '../ts/local-host.js';
import type { Mailbox, ToFollower, ToLeader } from '../ts/tab-messages.js';
import { TabServer } from '../ts/tab-server.js';

const TERM = 3;
const bytes = (n: number) => new Uint8Array([n]);

/** Gives the reply of the engine's oldest call without one. */
let reply: () => Promise<void>;
/** What the engine was asked for. */
let calls: string[];
let tell: (event: HostEvent) => void;
let sent: { tab: number; message: ToFollower }[];
let watched: readonly string[];
let die: () => void;
let server: TabServer;

beforeEach(() => {
  sent = [];
  calls = [];
  said = 0;
  const replies: (() => void)[] = [];
  reply = async () => {
    replies.shift()?.();
    await Promise.resolve();
  };
  const host = {
    subscribe: (listener: typeof tell) => {
      tell = listener;
      return () => {};
    },
    call: (request: Request) => {
      if (request.call === 'watch') {
        watched = request.prefixes;
        return Promise.resolve();
      }
      const of = 'key' in request ? request.key : 'id' in request ? `${request.id} ${request.value}` : '';
      calls.push(`${request.call} ${of}`);
      return new Promise((resolve) => replies.push(() => resolve(request.call)));
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
const join = (prefixes: readonly string[], visit = 1) => hear({ say: 'join', visit, watched: prefixes, visible: true });
const ping = (heard: number, again = false) => hear({ say: 'ping', visible: true, said, heard, again });

/** How many messages the tab has numbered. */
let said: number;

/** Says something that is kept until it is heard; gives how it is said again. */
function say(message: Partial<ToLeader>): () => void {
  said += 1;
  const number = said;
  const post = () => hear({ ...message, number } as Partial<ToLeader>);
  post();
  return post;
}

const has = (key: string): Partial<ToLeader> => ({ say: 'ask', id: 10 + said, request: { call: 'has', key } });

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
  say({ say: 'watch', prefixes: [''] });
  expect(watched).toEqual(['']);
  die();
  expect(watched).toEqual(['own/']);
  expect(server.size).toBe(0);
});

it('answers calls of those who have joined this term', async () => {
  hear({ ...has('before it joined'), number: 1 } as Partial<ToLeader>);
  join([]);
  sent.length = 0;
  say(has('k'));
  hear({ ...has('of another term'), number: 2, term: TERM + 1 } as Partial<ToLeader>);
  await reply();
  expect(calls).toEqual(['has k']);
  expect(sent.map(({ message }) => message)).toEqual([{ say: 'reply', term: TERM, id: 10, number: 1, reply: 'has' }]);
});

it('has a tab count as present for as long as it is there', () => {
  join([]);
  say({ say: 'present', id: 'ada', value: bytes(1) });
  say({ say: 'present', id: 'ada', value: bytes(2) });
  join([], 2);
  die();
  expect(calls).toEqual(['present ada 1', 'present ada 2', 'present ada undefined']);
  // One that has left by itself is not said to have left once more.
  calls = [];
  said = 0;
  join([], 3);
  say({ say: 'present', id: 'bob', value: bytes(3) });
  say({ say: 'present', id: 'bob', value: undefined });
  hear({ say: 'leave' });
  expect(calls).toEqual(['present bob 3', 'present bob undefined']);
});

/** The last pong. */
const pong = () => sent.findLast(({ message }) => message.say === 'pong')?.message;

it('carries calls out in their order, also when some are lost, and none of them twice', async () => {
  join([]);
  say(has('a'));
  // Lost.
  said += 1;
  const b = { ...has('b'), number: 2 } as Partial<ToLeader>;
  const sayC = say(has('c'));
  ping(0);
  expect(pong()).toMatchObject({ heard: 1, again: true });
  hear(b);
  sayC();
  // Nobody knows of an answer yet.
  hear(b);
  sayC();
  ping(0);
  expect(pong()).toMatchObject({ heard: 3, again: false });
  expect(calls).toEqual(['has a', 'has b', 'has c']);
});

it('says lost replies and events again, in their order, and nothing that was heard', async () => {
  join(['']);
  say(has('a'));
  say(has('b'));
  await reply();
  tell(changed('k', 1));
  await reply();
  const [, ...told] = sent.splice(0);
  expect(told.map(({ message }) => message.say)).toEqual(['reply', 'event', 'reply']);
  ping(1);
  expect(sent.splice(0).map(({ message }) => message)).toEqual([
    { say: 'pong', term: TERM, said: 3, heard: 2, again: false },
  ]);
  ping(1, true);
  expect(sent.splice(0, 2)).toEqual(told.slice(1));
  expect(calls).toHaveLength(2);
});

it('goes on with a tab that asks to join twice, and begins anew with one that comes back', async () => {
  join(['']);
  tell(changed('k', 1));
  join(['']);
  ping(0);
  expect(pong()).toMatchObject({ said: 1 });
  say(has('a'));
  join([''], 2);
  said = 0;
  sent.length = 0;
  // To one that has gone.
  await reply();
  expect(sent).toEqual([]);
  ping(0);
  expect(pong()).toMatchObject({ said: 0, heard: 0 });
});

it('keeps what a tab that hears nothing has to be told, once a key, and tells it when it is back', () => {
  join(['']);
  events();
  for (let n = 0; n < 10_000; n += 1) tell(changed(`k${n % 3}`, n % 250, n < 3 ? undefined : (n - 3) % 250));
  tell({ event: 'status', status: { pending: 1 } as Status });
  tell({ event: 'status', status: { pending: 0 } as Status });
  const first = events();
  expect(first).toHaveLength(256);
  ping(0);
  expect(events()).toEqual([]);
  ping(200);
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

it('does not show that it lives while it closes, and carries out nothing more, but answers what was asked before', async () => {
  join(['']);
  say({ say: 'ask', id: 1, request: { call: 'has', key: 'before' } });
  sent = [];
  server.close();
  expect(server.isClosing).toBe(true);
  ping(0);
  say({ say: 'ask', id: 2, request: { call: 'has', key: 'after' } });
  expect(sent).toEqual([]);
  await reply();
  expect(sent).toMatchObject([{ message: { say: 'reply', id: 1 } }]);
  expect(calls).toEqual(['has before']);
});
