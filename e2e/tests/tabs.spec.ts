// All tabs of a browser are one replica, whatever becomes of the tab that leads.
import type { GossipStore } from '@gossipstore/core';
import type { CDPSession, Page } from '@playwright/test';
import type { BrowserName } from '../browsers.ts';
import { expect, RELAY_NOT_REACHED, test } from '../world.ts';

/** How many times the leader meets with a misfortune: `GOSSIPSTORE_TAKEOVERS=200 npm test -- e2e` does it for longer. */
const ROUNDS = Number(process.env.GOSSIPSTORE_TAKEOVERS ?? 8);

/** How many writes each tab has under way, beside its counting. */
const LANES = 3;

/** How many keys a lane writes to in turn while tabs take over from each other, so that many rounds do not fill the store. */
const KEYS = 64;

/** More than a lane writes in a round. */
const ROUND_WRITES = 1_000_000;

/** How many acknowledged writes of each tab a round waits for, before the misfortune and after it. */
const WRITES = 5;

/** How much slower the processor of a tab is made. */
const SLOWER = 200;

interface Load {
  /** What was written last and acknowledged, by all tabs as far as this one has heard: key and value, which only grows. */
  acknowledged: Map<string, number>;
  /** How often each counter was counted up: asked for, and acknowledged. */
  asked: number;
  counted: number;
  /** Acknowledged by this tab since the last mark. */
  since: number;
  /** The longest time without an acknowledgement since the last mark, in milliseconds. */
  gap: number;
  failures: string[];
  stop: () => Promise<void>;
}

declare global {
  interface Window {
    load?: Load;
    /** Has the page take itself to be hidden, or seen again. */
    hide?: (hidden: boolean) => void;
    /** What `changes` told: key, value and origin. */
    changes?: [string, unknown, string][];
    /** Whether the next message of a kind, on its way from this tab or to it, is lost. */
    loses?: ((say: string) => boolean) | undefined;
    /** How many messages were lost. */
    lost?: { sent: number; received: number };
    /** How much longer the page waits for a database that it opens, in milliseconds, and how many of stores it has opened since that was set. */
    opening?: { takes: number; count: number };
  }
}

/**
 * Has a tab write without end, greater and greater numbers under keys of its own, and count up a counter of its own.
 * @param keys how many keys it writes to in turn; without it, each is written once
 * @param first the first number
 */
async function write(page: Page, name: string, keys = Number.POSITIVE_INFINITY, first = 0): Promise<void> {
  const start = ({ name, lanes, keys, first }: { name: string; lanes: number; keys: number; first: number }) => {
    const store = window.gossipstore?.store as GossipStore;
    const heard = new BroadcastChannel('acknowledged');
    let last = performance.now();
    let running = true;
    const load: Load = {
      acknowledged: new Map(),
      asked: 0,
      counted: 0,
      since: 0,
      gap: 0,
      failures: [],
      stop: async () => {
        running = false;
        await all;
        heard.close();
      },
    };
    window.load = load;
    heard.onmessage = ({ data: [key, value] }) => load.acknowledged.set(key, value);
    const acknowledged = () => {
      const now = performance.now();
      load.gap = Math.max(load.gap, now - last);
      last = now;
      load.since += 1;
    };
    // A store that is over fails at once, and a loop that goes on would never let the page do anything else.
    const failed = (error: unknown) => {
      load.failures.push(String(error));
      running = false;
    };
    const lane = async (lane: number) => {
      for (let n = first; running; n += 1) {
        const key = `w/${name}/${lane}/${n % keys}`;
        try {
          await store.set(key, n);
          load.acknowledged.set(key, n);
          heard.postMessage([key, n]);
          acknowledged();
        } catch (error) {
          failed(error);
        }
      }
    };
    const count = async () => {
      while (running) {
        load.asked += 1;
        try {
          await store.counter(`n/${name}`).increment();
          load.counted += 1;
          acknowledged();
        } catch (error) {
          failed(error);
        }
      }
    };
    const all = Promise.all([count(), ...Array.from({ length: lanes }, (_, n) => lane(n))]);
  };
  await page.evaluate(start, { name, lanes: LANES, keys, first });
}

/** Until a tab has had so many writes acknowledged, counted from now, or one has failed. */
async function moreWrites(page: Page): Promise<void> {
  await page.evaluate(() => {
    if (window.load) Object.assign(window.load, { since: 0, gap: 0 });
  });
  const isDone = (writes: number) => {
    const { since = 0, failures = [] } = window.load ?? {};
    return since >= writes || failures.length > 0;
  };
  await page.waitForFunction(isDone, WRITES, { polling: 50 });
}

/** What a tab does not show of what was acknowledged. */
async function missing(
  page: Page,
  acknowledged: Map<string, number>,
  counters: Map<string, { least: number; most: number }>,
): Promise<string[]> {
  return page.evaluate(
    async ([acknowledged, counters]) => {
      const store = window.gossipstore?.store as GossipStore;
      const wrong: string[] = [];
      const values = await store.getMany(acknowledged.map(([key]) => key));
      for (const [at, [key, least]] of acknowledged.entries()) {
        const value = values[at];
        if (typeof value !== 'number' || value < least) wrong.push(`${key}: ${value} instead of ${least} or more`);
      }
      for (const [key, { least, most }] of counters) {
        const value = await store.counter(key).value();
        if (value < least || value > (most ?? Number.POSITIVE_INFINITY))
          wrong.push(`${key}: ${value} instead of ${least} to ${most}`);
      }
      return wrong;
    },
    [[...acknowledged], [...counters]] as const,
  );
}

async function role(page: Page): Promise<string> {
  return page.evaluate(() => {
    const store = window.gossipstore?.store as GossipStore;
    return store.status.role;
  });
}

async function leaderOf(tabs: Map<string, Page>): Promise<string> {
  let leader: string | undefined;
  const leaders = async () => {
    const roles = await Promise.all([...tabs].map(async ([name, page]) => [name, await role(page)]));
    const leaders = roles.filter(([, role]) => role === 'leader').map(([name]) => name);
    leader = leaders[0];
    return leaders.length;
  };
  // A tab that was slowed down has much to hear of before it answers.
  await expect.poll(leaders, { timeout: 60_000 }).toBe(1);
  return leader as string;
}

const MISFORTUNES = ['closed', 'crashed', 'frozen', 'stopped', 'paused', 'slow'] as const;

/** What is done over the DevTools protocol. */
function chromiumOnly(browsers: readonly BrowserName[]): void {
  test.skip(browsers[0] !== 'chromium', 'it takes the DevTools protocol');
}

/**
 * Lets nothing run in a tab any more, as if it were frozen, with a dialog that nobody answers. `Page.setWebLifecycleState` does nothing
 * there, as Playwright has all tabs be visible; while a debugger pauses a tab, messages are thrown away. Gives how to let it go on.
 * @param isTold whether the tab hears of it before, as one that a browser freezes
 */
async function stop(page: Page, isTold: boolean): Promise<() => Promise<void>> {
  const opened = page.waitForEvent('dialog');
  const answered = page.evaluate(async (isTold) => {
    if (isTold) document.dispatchEvent(new Event('freeze'));
    // What the event led to is done at once.
    await new Promise((resolve) => setTimeout(resolve));
    alert('nothing runs behind this');
  }, isTold);
  const dialog = await opened;
  return async () => {
    await dialog.accept();
    await answered;
  };
}

/** Lets something happen to a tab. Gives how it is ended, where it ends. */
async function befall(
  page: Page,
  misfortune: (typeof MISFORTUNES)[number],
): Promise<(() => Promise<void>) | undefined> {
  if (misfortune === 'closed') {
    await page.close();
    return undefined;
  }
  const cdp: CDPSession = await page.context().newCDPSession(page);
  switch (misfortune) {
    case 'crashed': {
      const crashed = page.waitForEvent('crash');
      // Nobody is left to answer.
      cdp.send('Page.crash').catch(() => {});
      await crashed;
      await page.close();
      return undefined;
    }
    case 'frozen':
      return stop(page, true);
    case 'stopped':
      return stop(page, false);
    case 'paused': {
      await cdp.send('Debugger.enable');
      const paused = new Promise((resolve) => cdp.once('Debugger.paused', resolve));
      // In a turn of its own: within one of the store's, with a transaction of the disk begun, others wait for as long as it takes.
      await page.evaluate(() => {
        setTimeout(() => {
          // biome-ignore lint/suspicious/noDebugger: it is what the test is about.
          debugger;
        });
      });
      await paused;
      return async () => {
        await cdp.send('Debugger.disable');
      };
    }
    case 'slow':
      await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
      return async () => {
        await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
      };
  }
}

test('whatever becomes of the tab that leads, nothing acknowledged is lost and nothing is done twice', async ({
  browsers,
  join,
}) => {
  const misfortunes = browsers[0] === 'chromium' ? MISFORTUNES : (['closed'] as const);
  test.setTimeout(60_000 + ROUNDS * 30_000);
  // A tab that is closed while it connects says that it could not, and some crash.
  const cat = await join('Cat', { expectedErrors: [RELAY_NOT_REACHED, /the tab crashed/] });
  const [ann, ben] = [await join('Ann'), await join('Ben')];
  const tabs = new Map([['Cat 0', cat.page]]);
  for (let n = 1; n <= 2; n += 1) tabs.set(`Cat ${n}`, await cat.anotherTab());
  let born = tabs.size;
  const everything = {
    acknowledged: new Map<string, number>(),
    counters: new Map<string, { least: number; most: number }>(),
  };
  const before = (tab: string) => everything.counters.get(`n/${tab}`) ?? { least: 0, most: 0 };

  for (let round = 0; round < ROUNDS; round += 1) {
    const misfortune = misfortunes[round % misfortunes.length] as (typeof MISFORTUNES)[number];
    const acknowledged = new Map<string, number>();
    const counters = new Map<string, { least: number; most: number }>();
    // A tab that a busy machine held up while others were opened may take itself to be the only one; what it writes then fails.
    await leaderOf(tabs);
    for (const [tab, page] of tabs) await write(page, tab, KEYS, round * ROUND_WRITES);
    for (const page of tabs.values()) await moreWrites(page);

    const leader = await leaderOf(tabs);
    const unlucky = tabs.get(leader) as Page;
    tabs.delete(leader);
    const end = await befall(unlucky, misfortune);
    await Promise.all([...tabs.values()].map(moreWrites));
    const gap = await Promise.all([...tabs.values()].map((page) => page.evaluate(() => window.load?.gap ?? 0)));
    await end?.();
    if (end) tabs.set(leader, unlucky);
    else counters.set(`n/${leader}`, { ...before(leader), most: Number.POSITIVE_INFINITY });

    for (const [tab, page] of tabs) {
      const load = await page.evaluate(async () => {
        const load = window.load as Load;
        await load.stop();
        const { asked, counted, failures } = load;
        return { acknowledged: [...load.acknowledged], asked, counted, failures };
      });
      expect(load.failures, `round ${round}, ${misfortune}, ${tab}`).toEqual([]);
      for (const [key, value] of load.acknowledged) acknowledged.set(key, Math.max(value, acknowledged.get(key) ?? 0));
      const { least, most } = before(tab);
      counters.set(`n/${tab}`, { least: least + load.counted, most: most + load.asked });
    }
    // The same in every tab: they are one replica.
    for (const page of tabs.values()) {
      expect(await missing(page, acknowledged, counters), `round ${round}, ${misfortune}`).toEqual([]);
    }
    for (const entry of acknowledged) everything.acknowledged.set(...entry);
    for (const entry of counters) everything.counters.set(...entry);
    if (!end) {
      const tab = `Cat ${born}`;
      born += 1;
      tabs.set(tab, await cat.anotherTab());
    }
    console.log(
      `  round ${round + 1}: ${misfortune}, longest time without an acknowledgement ${Math.round(Math.max(...gap))} ms`,
    );
  }
  // Nothing that was there after its round is gone, or counted again, after all others.
  for (const page of tabs.values()) {
    expect(await missing(page, everything.acknowledged, everything.counters)).toEqual([]);
  }

  // Two browsers elsewhere have all of it, and see one replica.
  const [some] = [...tabs.values()] as [Page, ...Page[]];
  const all = (page: Page) =>
    page.evaluate(async () => {
      const found: [string, unknown][] = [];
      const store = window.gossipstore?.store as GossipStore;
      for await (const entry of store.entries()) found.push(entry);
      return found;
    });
  await ann.inSyncWith(2);
  await ben.inSyncWith(2);
  const [here, there, elsewhere] = [await all(some), await all(ann.page), await all(ben.page)];
  expect(there).toEqual(here);
  expect(elsewhere).toEqual(here);
});

/** Writes a value, and waits until it is durable. */
async function set(page: Page, key: string, value: string): Promise<void> {
  await page.evaluate(([key, value]) => (window.gossipstore as { store: GossipStore }).store.set(key, value), [
    key,
    value,
  ] as const);
}

const get = (page: Page, key: string) =>
  page.evaluate(async (key) => await (window.gossipstore as { store: GossipStore }).store.get(key), key);

test('a tab opened while the only other does not move has the store within seconds; the other follows it when it goes on', async ({
  browsers,
  join,
}) => {
  chromiumOnly(browsers);
  const ada = await join('Ada');
  await set(ada.page, 'before', 'kept');
  const goOn = await befall(ada.page, 'stopped');
  const begun = performance.now();
  const second = await ada.anotherTab();
  // One second of silence, and what a busy machine takes to load a page.
  expect(performance.now() - begun).toBeLessThan(8_000);
  expect(await role(second)).toBe('leader');
  expect(await get(second, 'before')).toBe('kept');
  await set(second, 'meanwhile', 'by the second');

  await goOn?.();
  await expect.poll(() => role(ada.page)).toBe('follower');
  expect(await get(ada.page, 'meanwhile')).toBe('by the second');
  await set(ada.page, 'after', 'by the first');
  expect(await get(second, 'after')).toBe('by the first');
  expect(await role(second)).toBe('leader');
});

test('a store that a tab keeps from all others is not opened by two at once when it lets go, and people are told meanwhile', async ({
  browsers,
  join,
}) => {
  chromiumOnly(browsers);
  const ada = await join('Ada', { expectedErrors: [RELAY_NOT_REACHED] });
  const tabs = [await ada.anotherTab(), await ada.anotherTab()];
  const holder = await ada.page.context().newPage();
  await holder.goto(new URL('/manifest.webmanifest', ada.page.url()).href);
  const asked = holder.waitForEvent('dialog');
  // As a debugger does that stops a tab within a turn in which it writes to the disk. Chromium does not end such a transaction by itself.
  const held = holder.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('gossipstore/shopping');
      request.onsuccess = () => resolve(request.result);
    });
    database.transaction('records', 'readwrite');
    alert('nobody else reads or writes behind this');
    database.close();
  });
  const dialog = await asked;
  await ada.page.close();
  const written = tabs.map((page, n) => set(page, `by ${n}`, 'kept'));
  const holderOfLock = (page: Page) =>
    page.evaluate(async () => {
      const { held = [] } = await navigator.locks.query();
      return held.find(({ name }) => name === 'gossipstore/shopping')?.clientId;
    });
  const problem = (page: Page) => page.evaluate(() => window.gossipstore?.store.status.storage.problem ?? '');
  const [one, other] = tabs as [Page, Page];
  for (const page of tabs) await expect.poll(() => problem(page)).toContain('debugger');
  // Either tries, in turn, and gives up what it has begun when the other's turn comes.
  const first = await holderOfLock(one);
  await expect.poll(() => holderOfLock(one), { timeout: 40_000 }).not.toBe(first);
  await dialog.accept();
  await held;
  await Promise.all(written);
  for (const page of tabs) {
    for (const n of tabs.keys()) expect(await get(page, `by ${n}`)).toBe('kept');
    expect(await problem(page)).toBe('');
  }
  expect([await role(one), await role(other)].sort()).toEqual(['follower', 'leader']);
});

/** Lets the test say how long the page takes to open a database. */
function openSlowly(): void {
  const listen = IDBOpenDBRequest.prototype.addEventListener as EventTarget['addEventListener'];
  const { open } = IDBFactory.prototype;
  IDBFactory.prototype.open = function (...args) {
    const [name] = args;
    if (window.opening && name.startsWith('gossipstore/')) window.opening.count += 1;
    return open.apply(this, args);
  };
  IDBOpenDBRequest.prototype.addEventListener = function (this: EventTarget, type: string, listener: EventListener) {
    const heard: EventListener = (event) => setTimeout(() => listener(event), window.opening?.takes ?? 0);
    listen.call(this, type, type === 'success' ? heard : listener);
  } as EventTarget['addEventListener'];
}

test('a tab that takes long to open the store is not taken for one that does not move', async ({ join }) => {
  const ada = await join('Ada', { before: openSlowly });
  const tabs = [await ada.anotherTab(), await ada.anotherTab()];
  await set(ada.page, 'before', 'kept');
  for (const page of tabs) {
    await page.evaluate(() => {
      window.opening = { takes: 4_000, count: 0 };
    });
  }
  await ada.page.close();
  const roles = () => Promise.all(tabs.map(role));
  await expect.poll(roles, { timeout: 20_000 }).toContain('leader');
  expect((await roles()).sort()).toEqual(['follower', 'leader']);
  const opened = await Promise.all(tabs.map((page) => page.evaluate(() => window.opening?.count)));
  expect(opened.sort()).toEqual([0, 1]);
  for (const page of tabs) expect(await get(page, 'before')).toBe('kept');
});

/** Has the page's lock, which says that its tab lives, take a second and a half to be had. */
function liveLate(): void {
  // The page before the first has none.
  if (!('locks' in navigator)) return;
  const { request } = LockManager.prototype;
  LockManager.prototype.request = async function (this: LockManager, ...args: unknown[]) {
    const [name, first] = args as [string, unknown];
    // Who waits for another to be gone gives it a signal.
    const isOwn = name.includes('/tab/') && typeof first === 'function';
    if (isOwn) await new Promise((resolve) => setTimeout(resolve, 1_500));
    return Reflect.apply(request, this, args);
  } as typeof request;
}

test('a tab that is not known to live yet is not taken for gone, nor does it take the store from the one that leads', async ({
  join,
}) => {
  const ada = await join('Ada', { before: liveLate });
  await set(ada.page, 'before', 'kept');
  const second = await ada.anotherTab();
  await set(second, 'after', 'by the second');
  expect([await role(ada.page), await role(second)]).toEqual(['leader', 'follower']);
  expect(await get(ada.page, 'after')).toBe('by the second');
  // It is known now: others hear when it goes.
  const presentHere = () => ada.page.evaluate(() => window.gossipstore?.store.presence.others.length);
  await expect.poll(presentHere).toBe(1);
  await second.close();
  await expect.poll(presentHere).toBe(0);
  expect(await role(ada.page)).toBe('leader');
});

/** Lets the test say whether the page is seen, of which headless browsers always say that it is. */
function pretendVisibility(): void {
  let isHidden = false;
  Object.defineProperty(document, 'hidden', { get: () => isHidden });
  Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
  window.hide = (hidden) => {
    isHidden = hidden;
    document.dispatchEvent(new Event('visibilitychange'));
  };
}

test('a leader that nobody has seen for a while hands the store to a tab that somebody sees, and no call fails', async ({
  join,
}) => {
  test.setTimeout(150_000);
  const ada = await join('Ada', { before: pretendVisibility });
  const tabs = new Map([['first', ada.page]]);
  // In the order in which they came, the next would be one that nobody sees either.
  for (const name of ['hidden', 'seen']) tabs.set(name, await ada.anotherTab());
  const [first, hidden, seen] = [...tabs.values()] as [Page, Page, Page];
  expect(await role(first)).toBe('leader');
  await hidden.evaluate(() => window.hide?.(true));
  for (const [name, page] of tabs) await write(page, name);
  await Promise.all([...tabs.values()].map(moreWrites));

  await first.evaluate(() => window.hide?.(true));
  await expect.poll(() => role(seen), { timeout: 45_000 }).toBe('leader');
  await Promise.all([...tabs.values()].map(moreWrites));
  await expect.poll(() => Promise.all([first, hidden, seen].map(role))).toEqual(['follower', 'follower', 'leader']);

  const acknowledged = new Map<string, number>();
  const counters = new Map<string, number>();
  for (const [name, page] of tabs) {
    const { failures, asked, counted, all } = await page.evaluate(async () => {
      const load = window.load as Load;
      await load.stop();
      const { failures, asked, counted, acknowledged } = load;
      return { failures, asked, counted, all: [...acknowledged] };
    });
    expect(failures, name).toEqual([]);
    expect(counted, name).toBe(asked);
    counters.set(`n/${name}`, asked);
    for (const [key, value] of all) acknowledged.set(key, value);
  }
  for (const [name, page] of tabs) {
    const found = await page.evaluate(
      async ([keys, counters]) => {
        const store = window.gossipstore?.store as GossipStore<number>;
        const counts = await Promise.all(counters.map((key) => store.counter(key).value()));
        return { values: await store.getMany(keys), counts };
      },
      [[...acknowledged.keys()], [...counters.keys()]] as const,
    );
    expect(found, name).toEqual({ values: [...acknowledged.values()], counts: [...counters.values()] });
  }
});

test('a tab that follows is told of changes by the leader, by another that follows, by itself and by people elsewhere', async ({
  join,
}) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  const [one, another] = [await ada.anotherTab(), await ada.anotherTab()];
  expect(await Promise.all([ada.page, one, another].map(role))).toEqual(['leader', 'follower', 'follower']);
  await ada.inSyncWith(1);
  await one.evaluate(() => {
    const told: [string, unknown, string][] = [];
    window.changes = told;
    const follow = async (store: GossipStore) => {
      for await (const { key, value, origin } of store.changes({ prefix: 'told/' })) told.push([key, value, origin]);
    };
    void follow((window.gossipstore as { store: GossipStore }).store);
  });
  const expected: [string, string, string][] = [];
  for (const [key, page, origin] of [
    // First: with it the leader knows what the tab looks at. What others write at the same moment may come before that.
    ['told/itself', one, 'local'],
    ['told/leader', ada.page, 'local'],
    ['told/another', another, 'local'],
    ['told/elsewhere', ben.page, 'remote'],
  ] as const) {
    await set(page, `not ${key}`, 'outside of the prefix');
    await set(page, key, `by ${key}`);
    expected.push([key, `by ${key}`, origin]);
    await expect.poll(() => one.evaluate(() => window.changes)).toEqual(expected);
  }
});

/** Lets the test say which of the messages between tabs are lost. */
function loseMessages(): void {
  const lost = { sent: 0, received: 0 };
  window.lost = lost;
  const isLost = ({ name }: BroadcastChannel, message: unknown) =>
    name.startsWith('gossipstore/') && window.loses?.((message as { say: string }).say) === true;
  window.BroadcastChannel = class extends BroadcastChannel {
    constructor(name: string) {
      super(name);
      // Before any other listener.
      this.addEventListener('message', (event) => {
        if (!isLost(this, event.data)) return;
        lost.received += 1;
        event.stopImmediatePropagation();
      });
    }

    override postMessage(message: unknown): void {
      if (isLost(this, message)) lost.sent += 1;
      else super.postMessage(message);
    }
  };
}

/** Until so many messages were lost. */
async function lose(page: Page, least: { sent: number; received: number }): Promise<void> {
  const areLost = (least: { sent: number; received: number }) => {
    const { sent, received } = window.lost as { sent: number; received: number };
    return sent >= least.sent && received >= least.received;
  };
  await page.waitForFunction(areLost, least, { polling: 50 });
}

test('what is lost between tabs is said again: every call is carried out once and in its order, every change told once', async ({
  join,
}) => {
  const ada = await join('Ada', { before: loseMessages });
  const second = await ada.anotherTab();
  const tabs = new Map([
    ['leader', ada.page],
    ['follower', second],
  ]);
  await second.evaluate(() => {
    const told: [string, unknown, string][] = [];
    window.changes = told;
    const follow = async (store: GossipStore) => {
      for await (const { key, value, origin } of store.changes({ prefix: 'w/leader/' }))
        told.push([key, value, origin]);
    };
    void follow((window.gossipstore as { store: GossipStore }).store);
  });
  await set(second, 'first', 'with it the leader knows what the tab looks at');
  for (const [name, page] of tabs) await write(page, name);
  await Promise.all([...tabs.values()].map(moreWrites));

  // All is lost, though the leader answers pings.
  const read = second.evaluate(async () => {
    window.loses = (say) => !['ping', 'pong'].includes(say);
    const store = window.gossipstore?.store as GossipStore<number>;
    const reads: Promise<number | undefined>[] = [];
    const writes: Promise<void>[] = [];
    for (let n = 0; n < 100; n += 1) {
      writes.push(store.set('in order', n));
      reads.push(store.get('in order'));
    }
    await Promise.all(writes);
    return await Promise.all(reads);
  });
  await lose(second, { sent: 300, received: 20 });
  // Ten at a time are. At random: at regular intervals they might always be those that are said again.
  await second.evaluate(() => {
    let losing = 0;
    window.loses = (say) => {
      if (['ping', 'pong'].includes(say)) return false;
      if (losing === 0 && Math.random() < 0.01) losing = 10;
      if (losing === 0) return false;
      losing -= 1;
      return true;
    };
  });
  expect(await read).toEqual(Array.from({ length: 100 }, (_, n) => n));
  await Promise.all([...tabs.values()].map(moreWrites));
  await second.evaluate(() => {
    window.loses = undefined;
  });
  await Promise.all([...tabs.values()].map(moreWrites));

  for (const [name, page] of tabs) {
    const { failures, asked, counted, value } = await page.evaluate(async (name) => {
      const load = window.load as Load;
      await load.stop();
      const value = await (window.gossipstore as { store: GossipStore }).store.counter(`n/${name}`).value();
      return { failures: load.failures, asked: load.asked, counted: load.counted, value };
    }, name);
    expect(failures, name).toEqual([]);
    expect([counted, value], name).toEqual([asked, asked]);
  }
  const written = await ada.entries('w/leader/');
  const told = async () => {
    const changes = await second.evaluate(() => window.changes ?? []);
    return changes.map(([key, value]) => [key, value]).sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1));
  };
  await expect.poll(told).toEqual(written);
  // Whichever it is: a machine that stands still for a second has the other lead, and all of the above holds then, too.
  expect((await Promise.all([ada.page, second].map(role))).sort()).toEqual(['follower', 'leader']);
});

test('a tab that follows goes on where it was after a debugger has paused it', async ({ browsers, join }) => {
  chromiumOnly(browsers);
  const ada = await join('Ada');
  const second = await ada.anotherTab();
  for (const [page, name] of [
    [ada.page, 'leader'],
    [second, 'follower'],
  ] as const) {
    await write(page, name);
    await moreWrites(page);
  }
  const goOn = await befall(second, 'paused');
  await moreWrites(ada.page);
  await goOn?.();
  await moreWrites(second);
  for (const page of [second, ada.page]) {
    const { failures, asked, counted } = await page.evaluate(async () => {
      const load = window.load as Load;
      await load.stop();
      return { failures: load.failures, asked: load.asked, counted: load.counted };
    });
    expect(failures).toEqual([]);
    expect(counted).toBe(asked);
  }
  expect(await Promise.all([ada.page, second].map(role))).toEqual(['leader', 'follower']);
});

test('a tab that is not told who leads asks', async ({ join }) => {
  const ada = await join('Ada', { before: loseMessages });
  const second = await ada.anotherTab();
  const third = await ada.anotherTab();
  expect(await Promise.all([second, third].map(role))).toEqual(['follower', 'follower']);
  await third.evaluate(() => {
    window.loses = (say) => say === 'leading';
  });
  await ada.page.close();
  // That it is about to, and that it does.
  await lose(third, { sent: 0, received: 2 });
  await third.evaluate(() => {
    window.loses = undefined;
  });
  await set(third, 'key', 'by the third');
  expect(await get(second, 'key')).toBe('by the third');
  expect(await Promise.all([second, third].map(role))).toEqual(['leader', 'follower']);
});

test('when all tabs have been closed, the next finds everything', async ({ join }) => {
  const ada = await join('Ada', { fragment: '#list=alone' });
  const second = await ada.anotherTab();
  await ada.add('milk');
  await set(second, 'key', 'by the one that follows');
  for (const page of [ada.page, second]) await page.close();
  const third = await ada.anotherTab();
  expect(await role(third)).toBe('leader');
  expect(await get(third, 'key')).toBe('by the one that follows');
  await expect(third.locator('#list .text', { hasText: 'milk' })).toBeVisible();
});
