// All tabs of a browser are one replica, whatever becomes of the tab that leads.
import type { GossipStore } from '@gossipstore/core';
import type { CDPSession, Page } from '@playwright/test';
import { expect, type Person, test } from '../world.ts';

/** How many times the leader meets with a misfortune: `GOSSIPSTORE_TAKEOVERS=200 npm test -- e2e` does it for longer. */
const ROUNDS = Number(process.env.GOSSIPSTORE_TAKEOVERS ?? 8);

/** How many writes each tab has under way, beside its counting. */
const LANES = 3;

/** How many acknowledged writes of each tab a round waits for, before the misfortune and after it. */
const WRITES = 5;

/** How much slower the processor of a tab is made. */
const SLOWER = 200;

interface Load {
  /** What was written and acknowledged, by all tabs as far as this one has heard: key and value. */
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
  }
}

/** Has a tab write without end: each key once, and a counter of its own. */
async function write(page: Page, name: string): Promise<void> {
  const start = ({ name, lanes }: { name: string; lanes: number }) => {
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
    const lane = async (lane: number) => {
      for (let n = 0; running; n += 1) {
        const key = `w/${name}/${lane}/${n}`;
        try {
          await store.set(key, n);
          load.acknowledged.set(key, n);
          heard.postMessage([key, n]);
          acknowledged();
        } catch (error) {
          load.failures.push(String(error));
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
          load.failures.push(String(error));
        }
      }
    };
    const all = Promise.all([count(), ...Array.from({ length: lanes }, (_, n) => lane(n))]);
  };
  await page.evaluate(start, { name, lanes: LANES });
}

/** Until a tab has had so many writes acknowledged, counted from now. */
async function moreWrites(page: Page): Promise<void> {
  await page.evaluate(() => {
    if (window.load) Object.assign(window.load, { since: 0, gap: 0 });
  });
  await page.waitForFunction((writes) => (window.load?.since ?? 0) >= writes, WRITES, { polling: 50 });
}

async function role(page: Page): Promise<string> {
  return page.evaluate(() => {
    const store = window.gossipstore?.store as GossipStore;
    return store.status.role;
  });
}

async function leaderOf(tabs: Map<string, Page>): Promise<string> {
  let leader: string | undefined;
  await expect
    .poll(async () => {
      const roles = await Promise.all([...tabs].map(async ([name, page]) => [name, await role(page)]));
      const leaders = roles.filter(([, role]) => role === 'leader').map(([name]) => name);
      leader = leaders[0];
      return leaders.length;
    })
    .toBe(1);
  return leader as string;
}

/** Another tab of the same browser. */
async function anotherTab(person: Person): Promise<Page> {
  const page = await person.page.context().newPage();
  page.on('pageerror', (error) => person.note(`page error: ${error.stack ?? error.message}`));
  await page.goto(person.page.url());
  await page.waitForFunction(() => window.gossipstore !== undefined);
  return page;
}

const MISFORTUNES = ['closed', 'crashed', 'frozen', 'slow'] as const;

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
      await cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
      return async () => {
        await cdp.send('Page.setWebLifecycleState', { state: 'active' });
      };
    case 'slow':
      await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
      return async () => {
        await cdp.send('Emulation.setCPUThrottlingRate', { rate: 1 });
      };
  }
}

test('whatever becomes of the tab that leads, nothing acknowledged is lost and nothing is done twice', async ({
  join,
}) => {
  test.setTimeout(60_000 + ROUNDS * 30_000);
  const [ann, ben, cat] = [await join('Ann'), await join('Ben'), await join('Cat')];
  const tabs = new Map([['Cat 0', cat.page]]);
  for (let n = 1; n <= 2; n += 1) tabs.set(`Cat ${n}`, await anotherTab(cat));
  let born = tabs.size;
  const acknowledged = new Map<string, number>();
  const counters = new Map<string, { least: number; most: number }>();
  const gaps: string[] = [];

  for (let round = 0; round < ROUNDS; round += 1) {
    const misfortune = MISFORTUNES[round % MISFORTUNES.length] as (typeof MISFORTUNES)[number];
    const name = (tab: string) => `${round} ${tab}`;
    for (const [tab, page] of tabs) await write(page, name(tab));
    for (const page of tabs.values()) await moreWrites(page);

    const leader = await leaderOf(tabs);
    const unlucky = tabs.get(leader) as Page;
    tabs.delete(leader);
    const end = await befall(unlucky, misfortune);
    await Promise.all([...tabs.values()].map(moreWrites));
    const gap = await Promise.all([...tabs.values()].map((page) => page.evaluate(() => window.load?.gap ?? 0)));
    gaps.push(`${misfortune} ${Math.round(Math.max(...gap))}`);
    await end?.();
    if (end) tabs.set(leader, unlucky);
    else counters.set(`n/${name(leader)}`, { least: 0, most: Number.POSITIVE_INFINITY });

    for (const [tab, page] of tabs) {
      const load = await page.evaluate(async () => {
        const load = window.load as Load;
        await load.stop();
        const { asked, counted, failures } = load;
        return { acknowledged: [...load.acknowledged], asked, counted, failures };
      });
      expect(load.failures, `round ${round}, ${misfortune}, ${tab}`).toEqual([]);
      for (const [key, value] of load.acknowledged) acknowledged.set(key, value);
      counters.set(`n/${name(tab)}`, { least: load.counted, most: load.asked });
    }
    // The same in every tab: they are one replica.
    for (const page of tabs.values()) {
      const wrong = await page.evaluate(
        async ([acknowledged, counters]) => {
          const store = window.gossipstore?.store as GossipStore;
          const wrong: string[] = [];
          const values = await store.getMany(acknowledged.map(([key]) => key));
          for (const [at, [key, value]] of acknowledged.entries())
            if (values[at] !== value) wrong.push(`${key}: ${values[at]} instead of ${value}`);
          for (const [key, { least, most }] of counters) {
            const value = await store.counter(key).value();
            if (value < least || value > (most ?? Number.POSITIVE_INFINITY))
              wrong.push(`${key}: ${value} instead of ${least} to ${most}`);
          }
          return wrong;
        },
        [[...acknowledged], [...counters]] as const,
      );
      expect(wrong, `round ${round}, ${misfortune}`).toEqual([]);
    }
    if (!end) {
      const tab = `Cat ${born}`;
      born += 1;
      tabs.set(tab, await anotherTab(cat));
    }
  }
  console.log(`  longest time without an acknowledgement after each, ms: ${gaps.join(', ')}`);

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
