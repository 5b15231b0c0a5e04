// A disk that is full, refused, wiped or written by another version: the store says what is the matter and works as far as it can.
import type { GossipStore, GossipStoreError } from '@gossipstore/core';
import type { CDPSession, Page } from '@playwright/test';
import { expect, type Person, test } from '../world.ts';

/** Opens a list that nobody else has. */
const ALONE = { fragment: '#list=alone' };

/** The database of that list. */
const DATABASE = 'gossipstore/alone';

/** How much a full disk has room for, the page's own files included: more than those, and less than what is written. */
const QUOTA = 12 * 1024 * 1024;

/** How long the store takes at most until it tries again what the disk did not take, and what a busy machine adds. */
const RECOVERY_MS = 10_000;

declare global {
  interface Window {
    /** The `error` events of the page's store. */
    told?: { code: string; message: string }[];
    /** What the page asked of the browser, and whether it was granted. */
    persistence?: { asked: number; granted: boolean };
  }
}

interface Outcome {
  /** `stored`, or the error's. */
  code: string;
  message: string;
}

/** Notes from now on what the store tells by its event. */
async function listen(page: Page): Promise<void> {
  await page.evaluate(() => {
    const told: { code: string; message: string }[] = [];
    window.told = told;
    const store = window.gossipstore?.store as GossipStore;
    store.addEventListener('error', ({ error: { code, message } }) => told.push({ code, message }));
  });
}

/** What was told so far. */
const told = (page: Page) => page.evaluate(() => window.told ?? []);

/** Writes one value. */
function set(page: Page, key: string, value: string): Promise<Outcome> {
  const write = async ({ key, value }: { key: string; value: string }) => {
    try {
      await (window.gossipstore as { store: GossipStore }).store.set(key, value);
      return { code: 'stored', message: '' };
    } catch (error) {
      const { code, message } = error as GossipStoreError;
      return { code, message };
    }
  };
  return page.evaluate(write, { key, value });
}

/** Writes many values of a mebibyte each in one transaction; no disk makes them smaller. */
function setLarge(page: Page, prefix: string, count: number): Promise<Outcome> {
  const write = async ({ prefix, count }: { prefix: string; count: number }) => {
    const random = () => {
      const bytes = new Uint8Array(1024 * 1024);
      // No more is given at a time.
      for (let at = 0; at < bytes.length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      return bytes;
    };
    try {
      await (window.gossipstore as { store: GossipStore }).store.transaction((tx) => {
        for (let n = 0; n < count; n += 1) tx.set(`${prefix}${n}`, random());
      });
      return { code: 'stored', message: '' };
    } catch (error) {
      const { code, message } = error as GossipStoreError;
      return { code, message };
    }
  };
  return page.evaluate(write, { prefix, count });
}

/** Deletes keys. */
function deleteMany(page: Page, keys: string[]): Promise<Outcome> {
  const remove = async (keys: string[]) => {
    try {
      await (window.gossipstore as { store: GossipStore }).store.deleteMany(keys);
      return { code: 'stored', message: '' };
    } catch (error) {
      const { code, message } = error as GossipStoreError;
      return { code, message };
    }
  };
  return page.evaluate(remove, keys);
}

const get = (page: Page, key: string) =>
  page.evaluate(async (key) => await (window.gossipstore as { store: GossipStore }).store.get(key), key);

function keys(page: Page, prefix = ''): Promise<string[]> {
  return page.evaluate(async (prefix) => {
    const found: string[] = [];
    for await (const key of (window.gossipstore as { store: GossipStore }).store.keys({ prefix })) found.push(key);
    return found;
  }, prefix);
}

/** Loads the page anew: all that is there afterwards comes from the disk. */
async function reload({ page }: Person): Promise<void> {
  await page.reload();
  await page.waitForFunction(() => window.gossipstore !== undefined);
}

const storageOf = async (person: Person) => (await person.status).storage;

/** What only Chromium can be told to do. */
function chromiumOnly(browsers: readonly string[]): void {
  test.skip(browsers[0] !== 'chromium', 'it takes the DevTools protocol');
}

/** How much the page's origin may store; `undefined`: what the browser finds right. */
async function limit(cdp: CDPSession, origin: string, quotaSize: number | undefined): Promise<void> {
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, ...(quotaSize !== undefined && { quotaSize }) });
}

test('a full disk: what does not fit is refused with the numbers, whole; when there is room again it is stored', async ({
  browsers,
  join,
}) => {
  chromiumOnly(browsers);
  let unlimit = async () => {};
  const ada = await join('Ada', {
    ...ALONE,
    // Before the browser has looked for the first time how much room there is: for a while it goes by what it saw.
    arrange: async (page, origin) => {
      const cdp = await page.context().newCDPSession(page);
      await limit(cdp, origin, QUOTA);
      unlimit = () => limit(cdp, origin, undefined);
    },
  });
  const { page } = ada;
  expect(await set(page, 'before', 'kept')).toMatchObject({ code: 'stored' });
  await listen(page);

  const refused = await setLarge(page, 'large/', 20);
  expect(refused).toMatchObject({ code: 'QuotaExceeded', message: expect.stringContaining('visible') });
  // The browser's own numbers, which are not those of the limit: Chromium does not tell pages how much room there really is.
  const numbers = expect.stringMatching(/there is no room left \(the system says that \d+ of \d+ bytes are in use\)/);
  expect(refused.message).toEqual(numbers);
  expect(await told(page)).toEqual([{ code: 'QuotaExceeded', message: numbers }]);
  await expect.poll(() => storageOf(ada)).toMatchObject({ kind: 'indexeddb', problem: numbers });
  expect(await get(page, 'before')).toBe('kept');
  expect(await keys(page, 'large/')).toHaveLength(20);

  for (const key of ['before', 'later']) {
    const later = await set(page, key, 'changed');
    expect(later).toMatchObject({ code: 'QuotaExceeded', message: expect.stringContaining('nothing was changed') });
  }
  expect(await get(page, 'before')).toBe('kept');
  expect(await get(page, 'later')).toBeUndefined();

  await reload(ada);
  expect(await keys(page)).toEqual(['before']);
  expect((await storageOf(ada)).problem).toBeUndefined();

  expect(await setLarge(page, 'large/', 20)).toMatchObject({ code: 'QuotaExceeded' });
  await expect.poll(async () => (await storageOf(ada)).problem).toEqual(numbers);
  // What may make room is carried out. It need not at once: what the browser gave up still takes room for a while.
  expect(await deleteMany(page, ['large/0'])).toMatchObject({ code: 'QuotaExceeded' });
  expect(await keys(page, 'large/')).toHaveLength(19);
  await unlimit();
  await expect.poll(async () => (await storageOf(ada)).problem, { timeout: RECOVERY_MS }).toBeUndefined();
  expect(await set(page, 'later', 'changed')).toMatchObject({ code: 'stored' });
  await expect.poll(async () => (await ada.status).pending).toBe(0);
  await reload(ada);
  expect(await keys(page, 'large/')).toHaveLength(19);
  expect(await get(page, 'later')).toBe('changed');
});

/** Ways in which a browser refuses IndexedDB, or what tabs need to share it, and what the store has to say of each. */
const REFUSALS: { what: string; before: () => void; problem: RegExp }[] = [
  {
    what: 'fails to open',
    before: () => {
      const { open } = IDBFactory.prototype;
      IDBFactory.prototype.open = function (...args) {
        const request = open.apply(this, args);
        request.addEventListener('upgradeneeded', () => request.transaction?.abort());
        return request;
      };
    },
    problem: /AbortError/,
  },
  {
    what: 'is forbidden',
    before: () => {
      IDBFactory.prototype.open = () => {
        throw new DOMException('the operation is insecure', 'SecurityError');
      };
    },
    problem: /SecurityError: the operation is insecure/,
  },
  {
    what: 'is not there',
    before: () => {
      Object.defineProperty(window, 'indexedDB', { value: undefined });
    },
    problem: /there is no IndexedDB here/,
  },
  {
    what: 'may be had, but no locks',
    before: () => {
      // The page before the first has none.
      if (!('locks' in navigator)) return;
      LockManager.prototype.request = async () => {
        throw new DOMException('access to the Locks API is denied', 'SecurityError');
      };
    },
    problem: /Web Locks.*SecurityError: access to the Locks API is denied/,
  },
];

for (const { what, before, problem } of REFUSALS) {
  test(`IndexedDB ${what}: the store works in memory and says why`, async ({ join }) => {
    const ada = await join('Ada', { ...ALONE, before });
    expect(await storageOf(ada)).toMatchObject({ kind: 'memory', problem: expect.stringMatching(problem) });
    await expect(ada.page.locator('#notice')).toHaveText(problem);
    await ada.add('milk');
    expect(await set(ada.page, 'key', 'value')).toMatchObject({ code: 'stored' });
    expect(await get(ada.page, 'key')).toBe('value');
    expect(await storageOf(ada)).toMatchObject({ kind: 'memory', persisted: false });
  });
}

/** Has the page fail to open a database some times, as while a browser that was killed still holds the files. */
function openLater(): void {
  const { open } = IDBFactory.prototype;
  let failures = 3;
  IDBFactory.prototype.open = function (...args) {
    if (failures === 0) return open.apply(this, args);
    failures -= 1;
    const error = new DOMException('Internal error opening backing store for indexedDB.open.', 'UnknownError');
    const request = Object.assign(new EventTarget(), { error });
    setTimeout(() => request.dispatchEvent(new Event('error')));
    return request as unknown as IDBOpenDBRequest;
  };
}

test('IndexedDB cannot be opened at first: the store waits until it can, and shows nobody an empty list', async ({
  join,
}) => {
  const ada = await join('Ada', { ...ALONE, before: openLater });
  await ada.add('milk');
  await expect.poll(async () => (await ada.status).pending).toBe(0);
  await reload(ada);
  await expect(ada.row('milk')).toBeVisible();
  const storage = await storageOf(ada);
  expect([storage.kind, storage.problem]).toEqual(['indexeddb', undefined]);
});

/** Ways in which all that is stored is deleted under a tab that has it open. */
const WIPES: { what: string; wipe: (page: Page) => Promise<void>; needsProtocol: boolean }[] = [
  {
    what: 'by the browser',
    wipe: async (page) => {
      const cdp = await page.context().newCDPSession(page);
      await cdp.send('Storage.clearDataForOrigin', { origin: new URL(page.url()).origin, storageTypes: 'indexeddb' });
    },
    needsProtocol: true,
  },
  {
    what: 'by a page',
    wipe: (page) =>
      page.evaluate(
        (name) =>
          new Promise<void>((resolve, reject) => {
            const request = indexedDB.deleteDatabase(name);
            request.onsuccess = () => resolve();
            request.onerror = () => reject(request.error);
          }),
        DATABASE,
      ),
    needsProtocol: false,
  },
];

for (const { what, wipe, needsProtocol } of WIPES) {
  test(`what is stored is deleted ${what}: the tab notices, keeps what it has in memory, and goes on`, async ({
    browsers,
    join,
  }) => {
    if (needsProtocol) chromiumOnly(browsers);
    const ada = await join('Ada', ALONE);
    const { page } = ada;
    await ada.add('milk');
    expect(await set(page, 'key', 'value')).toMatchObject({ code: 'stored' });
    await listen(page);
    await wipe(page);
    // Nobody writes meanwhile.
    const problem = expect.stringContaining('what was stored is gone');
    await expect.poll(() => storageOf(ada)).toMatchObject({ kind: 'memory', problem });
    expect(await told(page)).toEqual([{ code: 'NotDurable', message: problem }]);
    expect(await get(page, 'key')).toBe('value');
    expect(await set(page, 'key', 'later')).toMatchObject({ code: 'stored' });
    expect(await get(page, 'key')).toBe('later');
    await ada.edit('milk', 'oat milk');
  });
}

test('what was deleted while no tab was open comes back from others: the store is the same, by its name alone', async ({
  join,
  relay,
}) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await ada.inSyncWith(1);
  const { page } = ada;
  expect(page.url(), 'nothing in it but the name').toContain('#list=');
  await page.evaluate(async (name) => {
    await window.gossipstore?.store.close();
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(name);
      request.onsuccess = () => resolve();
      request.onerror = () => reject(request.error);
    });
  }, 'gossipstore/shopping');
  await reload(ada);
  await expect(ada.row('milk')).toBeVisible();
  expect((await storageOf(ada)).lost).toMatch(/deleted/);
  expect((await ada.status).relays.map(({ address }) => address)).toEqual([relay.address(ada.line.port)]);
  await reload(ada);
  await expect(ada.row('milk')).toBeVisible();
  expect((await storageOf(ada)).lost).toBeUndefined();
});

test('a private window: what is written is there for as long as the window is, and nowhere else', async ({ join }) => {
  const ada = await join('Ada', ALONE);
  const { page } = ada;
  await ada.add('milk');
  expect(await set(page, 'key', 'value')).toMatchObject({ code: 'stored' });
  await reload(ada);
  await expect(ada.row('milk')).toBeVisible();
  expect(await get(page, 'key')).toBe('value');

  const storage = await storageOf(ada);
  expect(storage.kind).toBe('indexeddb');
  expect(storage.problem).toBeUndefined();
  await expect
    .poll(async () => {
      const truth = await page.evaluate(async () => {
        const [{ quota }, persisted] = await Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]);
        return { quota: quota as number, persisted };
      });
      const { quotaBytes = 0, persisted } = await storageOf(ada);
      // The browser's answer moves with the room that the disk has.
      return persisted === truth.persisted && Math.abs(quotaBytes / truth.quota - 1) < 0.1;
    })
    .toBe(true);

  const another = await join('Another', ALONE);
  expect(await keys(another.page)).toEqual([]);
});

/** Answers for the browser: yes, in the list that is called so. */
function answerPersist(): void {
  // A page that is not secure has none, such as the empty one that comes first.
  if (!('StorageManager' in window)) return;
  const persistence = { asked: 0, granted: false };
  window.persistence = persistence;
  StorageManager.prototype.persisted = async () => persistence.granted;
  StorageManager.prototype.persist = async () => {
    persistence.asked += 1;
    persistence.granted = location.hash === '#list=granted';
    return persistence.granted;
  };
}

for (const answer of ['granted', 'denied']) {
  test(`the browser is asked to keep the data at the first write and not before: ${answer}`, async ({ join }) => {
    const ada = await join('Ada', { fragment: `#list=${answer}`, before: answerPersist });
    const asked = () => ada.page.evaluate(() => window.persistence?.asked);
    expect(await get(ada.page, 'key')).toBeUndefined();
    expect(await asked()).toBe(0);
    expect((await storageOf(ada)).persisted).toBe(false);
    for (const value of ['first', 'second']) {
      expect(await set(ada.page, 'key', value)).toMatchObject({ code: 'stored' });
      expect(await asked()).toBe(1);
    }
    await expect.poll(async () => (await storageOf(ada)).persisted).toBe(answer === 'granted');

    await reload(ada);
    expect(await get(ada.page, 'key')).toBe('second');
    expect(await asked()).toBe(0);
  });
}

test('what a newer version has stored is refused by name and left as it is', async ({ join }) => {
  const ada = await join('Ada', ALONE);
  const { before, after, code, message } = await ada.page.evaluate(async () => {
    const done = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const open = async () => {
      const request = indexedDB.open('gossipstore/newer', 1);
      request.onupgradeneeded = () => {
        for (const store of ['records', 'terms']) request.result.createObjectStore(store);
      };
      return done(request);
    };
    /** All that is in the database, as text. */
    const dump = async () => {
      const database = await open();
      const stores = [...database.objectStoreNames];
      const transaction = database.transaction(stores);
      const contents = await Promise.all(
        stores.flatMap((name) => {
          const store = transaction.objectStore(name);
          return [done<unknown[]>(store.getAllKeys() as IDBRequest<unknown[]>), done<unknown[]>(store.getAll())];
        }),
      );
      database.close();
      const text = (item: unknown) =>
        String(item instanceof ArrayBuffer ? new Uint8Array(item) : (item as object | number));
      return [database.version, stores, contents.map((column) => column.map(text))];
    };

    // The state record of format 200, and the sum of its key and itself that every record ends with.
    const record = new Uint8Array([200, 31, 6, 71, 140, 56, 206, 149, 218]);
    const database = await open();
    await done(
      database
        .transaction('records', 'readwrite')
        .objectStore('records')
        .put(record, new Uint8Array([0])),
    );
    database.close();
    const before = await dump();
    const { GossipStore } = window.gossipstore as NonNullable<Window['gossipstore']> & {
      GossipStore: typeof import('@gossipstore/core').GossipStore;
    };
    const { code, message } = await GossipStore.open('newer').then(
      () => ({ code: 'opened', message: '' }),
      (error: GossipStoreError) => error,
    );
    return { before, after: await dump(), code, message };
  });
  expect({ code, message }).toEqual({
    code: 'StorageUnreadable',
    message: expect.stringContaining('it has format 200'),
  });
  expect(after).toEqual(before);
});
