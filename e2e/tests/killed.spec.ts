// A browser that is killed while it writes: what was acknowledged is there when it is started again, and of a transaction all or
// nothing. What was acknowledged is known outside of the browser, and only that counts.
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GossipStore } from '@gossipstore/core';
import type { BrowserContext, Page } from '@playwright/test';
import { type BrowserName, launchProfile } from '../browsers.ts';
import { killBrowser } from '../processes.ts';
import { expect, test } from '../world.ts';

/** How often it is killed: `GOSSIPSTORE_KILLS=20 npm test -- e2e` does it for longer. */
const KILLS = Number(process.env.GOSSIPSTORE_KILLS ?? 3);

/** How many keys a transaction writes. */
const TOGETHER = 3;

/** What one life of the browser was told of as durable. */
interface Acknowledged {
  /** Key and value; `null`: deleted. */
  readonly values: Map<string, number | null>;
  /** How often the counter was counted up. */
  counted: number;
  /** The numbers of the transactions. */
  readonly transactions: number[];
}

type Acknowledgement =
  | { what: 'value'; key: string; value: number | null }
  | { what: 'counted' }
  | { what: 'transaction'; n: number };

declare global {
  interface Window {
    acknowledge?: (acknowledgement: Acknowledgement) => Promise<void>;
  }
}

/** Has the page write without end, in several ways at once, and tell of each write when it is durable. */
function write({ life, together }: { life: number; together: number }): void {
  const store = window.gossipstore?.store as GossipStore;
  const acknowledge = window.acknowledge as NonNullable<Window['acknowledge']>;
  /** Values of many sizes, the longest of many records' length. */
  const filler = (n: number) => 'x'.repeat(n % 7 === 0 ? 200_000 : (n % 5) * 300);
  const lanes: (() => Promise<void>)[] = [
    async () => {
      for (let n = 0; ; n += 1) {
        const key = `set/${life}/${n}`;
        await store.set(key, { n, filler: filler(n) });
        acknowledge({ what: 'value', key, value: n });
      }
    },
    async () => {
      for (let n = 0; ; n += 1) {
        const key = `again/${n % 10}`;
        const value = life * 1_000_000 + n;
        await store.set(key, { n: value, filler: filler(n) });
        acknowledge({ what: 'value', key, value });
      }
    },
    async () => {
      for (let n = 0; ; n += 1) {
        const key = `deleted/${life}/${n}`;
        await store.set(key, { n });
        await store.delete(key);
        acknowledge({ what: 'value', key, value: null });
      }
    },
    async () => {
      for (let n = 0; ; n += 1) {
        await store.transaction((tx) => {
          for (let at = 0; at < together; at += 1) tx.set(`together/${life}/${n}/${at}`, { n, filler: filler(n) });
        });
        acknowledge({ what: 'transaction', n });
      }
    },
    async () => {
      for (;;) {
        await store.counter(`count/${life}`).increment();
        acknowledge({ what: 'counted' });
      }
    },
  ];
  for (const lane of lanes) void lane();
}

/** What the store holds: the numbers under the keys, and the counters. */
async function stored(page: Page): Promise<Map<string, number>> {
  const entries = await page.evaluate(async () => {
    const store = window.gossipstore?.store as GossipStore<{ n: number } | number>;
    const found: [string, number][] = [];
    for await (const [key, value] of store.entries()) found.push([key, typeof value === 'number' ? value : value.n]);
    return found;
  });
  return new Map(entries);
}

/** What of that differs from what was acknowledged in a life. */
function lost(life: number, { values, counted, transactions }: Acknowledged, held: Map<string, number>): string[] {
  const wrong: string[] = [];
  for (const [key, value] of values) {
    const found = held.get(key);
    // What is written again and again may be further than the last that was heard of.
    const isThere =
      value === null ? found === undefined : key.startsWith('again/') ? Number(found) >= value : found === value;
    if (!isThere) wrong.push(`${key}: ${found} instead of ${value}`);
  }
  if (counted > 0 && (held.get(`count/${life}`) ?? 0) < counted)
    wrong.push(`count/${life}: ${held.get(`count/${life}`)} instead of at least ${counted}`);
  for (const n of transactions)
    for (let at = 0; at < TOGETHER; at += 1)
      if (held.get(`together/${life}/${n}/${at}`) !== n) wrong.push(`together/${life}/${n}/${at} is missing`);
  return wrong;
}

/** Transactions that are there in part. */
function halves(held: Map<string, number>): string[] {
  const parts = new Map<string, number>();
  for (const key of held.keys()) {
    const [, transaction] = /^(together\/\d+\/\d+)\//.exec(key) ?? [];
    if (transaction) parts.set(transaction, (parts.get(transaction) ?? 0) + 1);
  }
  return [...parts].filter(([, count]) => count !== TOGETHER).map(([transaction]) => transaction);
}

/** The log of the databases of a profile in Chromium. */
function databaseLog(folder: string): string {
  const databases = join(folder, 'Default', 'IndexedDB');
  const [database = ''] = readdirSync(databases).filter((name) => name.endsWith('.leveldb'));
  const logs = readdirSync(join(databases, database)).filter((name) => name.endsWith('.log'));
  return join(databases, database, logs.sort().at(-1) as string);
}

/** A profile that is started again and again, on the page of a list. */
class Profile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'gossipstore-profile-'));
  #context: BrowserContext | undefined;

  constructor(private readonly launch: (folder: string) => Promise<BrowserContext>) {}

  get log(): string {
    return databaseLog(this.#folder);
  }

  async start(address: string): Promise<Page> {
    this.#context = await this.launch(this.#folder);
    const page = await this.#context.newPage();
    await page.goto(address);
    await page.waitForFunction(() => window.gossipstore !== undefined);
    return page;
  }

  /** Kills it, with writes under way, as soon as it is enough of what is acknowledged. */
  async killWithin(page: Page, life: number, isEnough: (acknowledgement: Acknowledgement) => boolean): Promise<void> {
    const killed = new Promise<void>((resolve) => this.#context?.once('close', () => resolve()));
    await page.exposeBinding('acknowledge', (_, acknowledgement: Acknowledgement) => {
      if (isEnough(acknowledgement)) killBrowser(this.#folder);
    });
    // Nothing answers when the browser is dead.
    page.evaluate(write, { life, together: TOGETHER }).catch(() => {});
    await killed;
  }

  async close(): Promise<void> {
    await this.#context?.close();
  }

  async remove(): Promise<void> {
    await this.close();
    // A browser's last helpers may still be writing when it has ended.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

test('a browser killed while it writes has everything that was acknowledged when it is started again', async ({
  browsers,
  origin,
  playwright,
}) => {
  test.setTimeout(60_000 + KILLS * 45_000);
  const profile = new Profile((folder) => launchProfile(playwright, browsers[0] as BrowserName, folder));
  const lives: Acknowledged[] = [];
  const wrong: string[] = [];

  /** Starts the browser and looks at what it kept. */
  const start = async (): Promise<Page> => {
    const page = await profile.start(`${origin}/#list=killed`);
    const held = await stored(page);
    // What a later life has written under the same key counts.
    const newest = new Map(lives.flatMap(({ values }) => [...values]));
    for (const [life, { counted, transactions }] of lives.entries())
      wrong.push(...lost(life, { values: new Map(), counted, transactions }, held));
    wrong.push(...lost(0, { values: newest, counted: 0, transactions: [] }, held));
    wrong.push(...halves(held).map((transaction) => `${transaction} is there in part`));
    expect(wrong, `after ${lives.length} kills`).toEqual([]);
    return page;
  };

  try {
    for (let life = 0; life < KILLS; life += 1) {
      const page = await start();
      const acknowledged: Acknowledged = { values: new Map(), counted: 0, transactions: [] };
      lives.push(acknowledged);
      /** At how many acknowledgements it is killed: another moment each time, from in the first writes to far in. */
      const until = 5 + ((life * 83) % 200);
      let heard = 0;
      await profile.killWithin(page, life, (acknowledgement) => {
        if (acknowledgement.what === 'value') acknowledged.values.set(acknowledgement.key, acknowledgement.value);
        else if (acknowledgement.what === 'counted') acknowledged.counted += 1;
        else acknowledged.transactions.push(acknowledgement.n);
        heard += 1;
        return heard === until;
      });
    }
    await start();
  } finally {
    await profile.remove();
  }
  const writes = lives.map(({ values, counted, transactions }) => values.size + counted + transactions.length);
  console.log(`  acknowledged before each kill, none lost: ${writes.join(', ')}`);
});

test('a record that a killed browser has left half-written in its log costs nothing later on', async ({
  browsers,
  origin,
  playwright,
}) => {
  test.skip(browsers[0] !== 'chromium', 'it is about LevelDB');
  const profile = new Profile((folder) => launchProfile(playwright, 'chromium', folder));
  const address = `${origin}/#list=torn`;
  try {
    const first = await profile.start(address);
    // As whoever writes much says.
    await first.evaluate(
      () =>
        new Promise<void>((resolve, reject) => {
          const opening = indexedDB.open('gossipstore', 1);
          opening.onupgradeneeded = () => opening.result.createObjectStore('upkeep');
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const change = opening.result.transaction('upkeep', 'readwrite');
            change.objectStore('upkeep').put(true, 'a test');
            change.oncomplete = () => resolve();
          };
        }),
    );
    const acknowledged = new Map<string, number | null>();
    await profile.killWithin(first, 0, (acknowledgement) => {
      if (acknowledgement.what !== 'value') return false;
      acknowledged.set(acknowledgement.key, acknowledgement.value);
      return acknowledged.size === 60;
    });
    const wrong = async (page: Page) =>
      lost(0, { values: acknowledged, counted: 0, transactions: [] }, await stored(page));
    // A sum, a length of 1,000 and a kind, and nothing of what they announce.
    appendFileSync(profile.log, Uint8Array.of(1, 2, 3, 4, 0xe8, 3, 1));
    const torn = profile.log;
    const page = await profile.start(address);
    expect(await wrong(page), 'it is passed over').toEqual([]);
    await page.evaluate(() => window.gossipstore?.store.set('after', { n: 1 }));
    await expect.poll(() => profile.log).not.toBe(torn);
    await profile.close();
    expect(await wrong(await profile.start(address)), 'nobody finds it any more').toEqual([]);
  } finally {
    await profile.remove();
  }
});

test('a tab that writes without a pause says so, and takes it back', async ({ browsers, join }) => {
  test.skip(browsers[0] !== 'chromium', 'it is about LevelDB');
  const ada = await join('Ada', { fragment: '#list=restless' });
  const marks = () =>
    ada.page.evaluate(
      () =>
        new Promise<number>((resolve, reject) => {
          const opening = indexedDB.open('gossipstore', 1);
          opening.onerror = () => reject(opening.error);
          opening.onsuccess = () => {
            const asked = opening.result.transaction('upkeep').objectStore('upkeep').count();
            asked.onerror = () => reject(asked.error);
            asked.onsuccess = () => {
              opening.result.close();
              resolve(asked.result);
            };
          };
        }),
    );
  await ada.add('milk');
  expect(await marks()).toBe(0);
  await ada.page.evaluate(() => {
    const store = window.gossipstore?.store as GossipStore;
    const isOver = () => 'over' in window;
    const write = async () => {
      for (let n = 0; !isOver(); n += 1) await store.set('key', n);
    };
    void write();
  });
  await expect.poll(marks).toBe(1);
  await ada.page.evaluate(() => Object.assign(window, { over: true }));
  await expect.poll(marks).toBe(0);
});

test('what the browser throws away as damaged is told, and the store is the same as before', async ({
  browsers,
  origin,
  playwright,
}) => {
  test.skip(browsers[0] !== 'chromium', 'it is about LevelDB');
  const profile = new Profile((folder) => launchProfile(playwright, 'chromium', folder));
  const address = `${origin}/#list=damaged`;
  const idOf = (page: Page) => page.evaluate(() => window.gossipstore?.store.id);
  const lostOf = (page: Page) => page.evaluate(() => window.gossipstore?.store.status.storage.lost);
  try {
    const page = await profile.start(address);
    const id = await idOf(page);
    expect(await lostOf(page)).toBeUndefined();
    await page.evaluate(() => window.gossipstore?.store.set('key', { n: 1 }));
    await profile.close();
    const log = readFileSync(profile.log);
    writeFileSync(profile.log, log.fill(0xff, 100, 200));

    const again = await profile.start(address);
    expect(await lostOf(again)).toMatch(/damaged/);
    await expect(again.getByRole('alert')).toContainText('what was stored of the store is gone');
    expect((await stored(again)).size).toBe(0);
    expect(await idOf(again)).toBe(id);
    await again.evaluate(() => window.gossipstore?.store.set('key', { n: 2 }));
    await profile.close();

    const later = await profile.start(address);
    expect(await lostOf(later)).toBeUndefined();
    expect((await stored(later)).get('key')).toBe(2);
  } finally {
    await profile.remove();
  }
});
