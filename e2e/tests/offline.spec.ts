// The page without a network, and a new version of it. Its server is stopped for real and serves other builds from the same
// address, as one does that is updated; `setOffline` cuts the browser off besides.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { DEMO_DIST } from '../../scripts/paths.mjs';
import { freePort } from '../../scripts/relay.mjs';
import { serve } from '../../scripts/serve.mjs';
import { addWorker } from '../../web-demo/worker/build.js';
import { type BrowserName, launchProfile, RELAY_NOT_REACHED } from '../browsers.ts';
import { Line } from '../line.ts';
import { test as base, expect } from '../world.ts';

/**
 * What Firefox 153.8 says when a tab reloads to the next version beside one that stays: of a request without an address. A file of the
 * page would be named, and the page would lack it.
 */
const NOTHING_LOADED = /Failed to load ‘’\. A ServiceWorker intercepted the request/;

/** Where the page is served, by a server that comes and goes. */
class Site {
  #running: Awaited<ReturnType<typeof serve>> | undefined;

  constructor(private readonly port: number) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  async serve(folder: string): Promise<void> {
    await this.stop();
    this.#running = await serve(folder, this.port);
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }
}

/** A copy of the page in which the script is one byte longer. */
async function nextVersion(folder: string): Promise<string> {
  cpSync(DEMO_DIST, folder, { recursive: true });
  const name = readdirSync(join(folder, 'assets')).find((file) => file.endsWith('.js')) as string;
  const script = join(folder, 'assets', name);
  writeFileSync(script, `${readFileSync(script, 'utf8')} `);
  await addWorker(folder);
  return folder;
}

/** A browser whose profile outlives it. The tabs of a profile share their worker. */
class Profile {
  /** What went wrong in any page. */
  readonly errors: string[] = [];
  #context: BrowserContext | undefined;

  constructor(
    private readonly launch: () => Promise<BrowserContext>,
    private readonly site: Site,
  ) {}

  /** Opens the page in a tab, and waits until it can be used. */
  async open(query = ''): Promise<Page> {
    this.#context ??= await this.#start();
    const page = await this.#context.newPage();
    await page.goto(`${this.site.url}${query}`);
    await page.waitForFunction(() => window.gossipstore !== undefined);
    return page;
  }

  async setOffline(isOffline = true): Promise<void> {
    this.#context ??= await this.#start();
    await this.#context.setOffline(isOffline);
  }

  /** Ends the browser; the next tab is opened in a new one with the same profile. */
  async quit(): Promise<void> {
    await this.#context?.close();
    this.#context = undefined;
  }

  async #start(): Promise<BrowserContext> {
    const context = await this.launch();
    context.on('weberror', (error) => {
      const text = String(error.error());
      // To be without a network is what this is about.
      if (!RELAY_NOT_REACHED.test(text) && !NOTHING_LOADED.test(text)) this.errors.push(text);
    });
    return context;
  }
}

const test = base.extend<{
  site: Site;
  profile: Profile;
  /** Makes the next version's folder. */
  build: () => Promise<string>;
}>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
  site: async ({}, use) => {
    const site = new Site(await freePort());
    await site.serve(DEMO_DIST);
    await use(site);
    await site.stop();
  },
  profile: async ({ playwright, browsers, site }, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'gossipstore-profile-'));
    const profile = new Profile(() => launchProfile(playwright, browsers[0] as BrowserName, folder), site);
    await use(profile);
    await profile.quit();
    // A browser's last helpers may still be writing when it has ended.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    expect(profile.errors).toEqual([]);
  },
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
  build: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'gossipstore-page-'));
    await use(() => nextVersion(folder));
    rmSync(folder, { recursive: true, force: true });
  },
});

const READY = 'Ready to work offline: it starts without a network.';
const NEW_VERSION = 'A new version is ready';

/** What the details behind the badge say. */
async function details(page: Page) {
  const panel = page.locator('#details');
  if (!(await panel.isVisible())) await page.locator('#badge').click();
  return panel;
}

const versionOf = (page: Page) => page.locator('meta[name="version"]').getAttribute('content');

/** The versions whose files the browser keeps. */
const kept = (page: Page) =>
  page.evaluate(async () => (await caches.keys()).map((name) => name.split(' ').at(-1)).sort());

/** Visits the page until it says that it could start without a network. */
async function visit(profile: Profile, query = ''): Promise<Page> {
  const page = await profile.open(query);
  await expect(page.getByText('Ready to work offline', { exact: true })).toBeVisible();
  await expect(await details(page)).toContainText(READY);
  await page.keyboard.press('Escape');
  return page;
}

/** Asks for a new version, as the browser does by itself when the page is opened again. */
const lookForUpdate = (page: Page) =>
  page.evaluate(async () => void (await (await navigator.serviceWorker.ready).update()));

async function add(page: Page, text: string): Promise<void> {
  await page.locator('#new-text').fill(text);
  await page.locator('#new-text').press('Enter');
  await expect(row(page, text)).toBeVisible();
}

const row = (page: Page, text: string) => page.locator('#list .row', { has: page.getByText(text, { exact: true }) });

test('after one visit the page starts without a network, also in a browser that was started anew, and takes edits', async ({
  profile,
  site,
}) => {
  await visit(profile);
  await site.stop();
  await profile.quit();
  await profile.setOffline();
  for (const query of ['', '?from=somewhere', 'index.html?x=1#list=shopping']) {
    const page = await profile.open(query);
    await add(page, `milk ${query}`);
    await page.locator('#list .text', { hasText: `milk ${query}` }).click();
    await page.locator('.editor').fill(`bread ${query}`);
    await page.keyboard.press('Enter');
    await expect(row(page, `bread ${query}`)).toBeVisible();
    await expect(await details(page)).toContainText(READY);
  }
});

test('a browser started anew without a network has its list, takes edits, and ends with what others did meanwhile', async ({
  invite,
  join,
  profile,
  relay,
  site,
}) => {
  const line = await Line.open(relay.port);
  const link = invite(relay.address(line.port));
  const ben = await join('Ben', { expectedErrors: [RELAY_NOT_REACHED] });
  const before = await visit(profile, link);
  await add(before, 'milk');
  await add(before, 'bread');
  await expect(ben.row('milk')).toBeVisible();
  await expect(ben.row('bread')).toBeVisible();

  await profile.quit();
  await site.stop();
  line.cut();
  await relay.stop();
  await profile.setOffline();
  await ben.add('by Ben, meanwhile');
  await ben.edit('bread', 'rye bread');

  const page = await profile.open(link);
  await expect(page.locator('#badge')).toHaveAttribute('data-network', 'offline');
  await expect(page.locator('#list .row')).toHaveCount(2);
  await expect(row(page, 'bread')).toBeVisible();
  await row(page, 'milk').locator('.text').click();
  await page.locator('.editor').fill('oat milk');
  await page.keyboard.press('Enter');
  await add(page, 'without a network');

  await site.serve(DEMO_DIST);
  await relay.start();
  line.mend();
  await profile.setOffline(false);
  for (const there of [page, ben.page]) {
    for (const text of ['oat milk', 'rye bread', 'by Ben, meanwhile', 'without a network'])
      await expect(row(there, text)).toBeVisible({ timeout: 45_000 });
    await expect(there.locator('#list .row')).toHaveCount(4);
    await expect(there.locator('#list .mark:visible')).toHaveCount(0);
  }
  await line.close();
});

test('nothing is kept but what the build consists of', async ({ profile }) => {
  const page = await visit(profile);
  await page.evaluate(() => Promise.all([fetch('absent'), fetch('./?query'), fetch('assets/absent.js')]));
  const paths = await page.evaluate(async () => {
    const [name] = await caches.keys();
    const requests = await (await caches.open(name as string)).keys();
    return requests.map(({ url }) => new URL(url).pathname.slice(1)).sort();
  });
  const built = readdirSync(DEMO_DIST, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'sw.js')
    .map((entry) => (entry.parentPath === DEMO_DIST ? entry.name : `assets/${entry.name}`));
  expect(paths).toEqual(built.sort());
});

test('a new version is offered, and taken on a click; what is typed stays', async ({ profile, site, build }) => {
  const page = await visit(profile);
  const old = await versionOf(page);
  await page.locator('#new-text').fill('half a thou');
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));

  await site.serve(await build());
  await lookForUpdate(page);
  await expect(page.getByText(NEW_VERSION)).toBeVisible();
  await page.locator('#new-text').pressSequentially('ght');
  expect(await versionOf(page)).toBe(old);
  expect(await page.evaluate(() => 'sameDocument' in window)).toBe(true);

  await page.getByRole('button', { name: 'Reload' }).click();
  await expect(page.locator('meta[name="version"]')).not.toHaveAttribute('content', old as string);
  await expect(page.locator('#new-text')).toHaveValue('half a thought');
  await expect(page.getByText(NEW_VERSION)).toBeHidden();
  // Nobody has the old version open.
  await expect.poll(() => kept(page)).toEqual([await versionOf(page)]);
});

test('what one tab accepts is offered in the others, which go on with what they have', async ({
  profile,
  site,
  build,
}) => {
  const [one, other] = [await visit(profile), await profile.open()];
  const old = await versionOf(one);
  await other.locator('#new-text').fill('typing');
  await site.serve(await build());
  await lookForUpdate(one);
  for (const page of [one, other]) await expect(page.getByText(NEW_VERSION)).toBeVisible();

  await one.getByRole('button', { name: 'Reload' }).click();
  await expect(one.locator('meta[name="version"]')).not.toHaveAttribute('content', old as string);
  const next = await versionOf(one);
  expect(await versionOf(other)).toBe(old);
  await expect(other.locator('#new-text')).toHaveValue('typing');
  await expect(other.getByText(NEW_VERSION)).toBeVisible();
  // The old version's files are there for as long as a tab is of it, though their server has others now.
  expect(await kept(other)).toEqual([old, next].sort());
  await other.locator('#new-text').press('Enter');
  await expect(other.locator('#list .row')).toHaveCount(1);

  await other.close({ runBeforeUnload: false });
  await one.reload();
  await expect.poll(() => kept(one)).toEqual([next]);
});

test('a new version that is not whole changes nothing', async ({ profile, site, build }) => {
  const page = await visit(profile);
  const old = await versionOf(page);
  const folder = await build();
  // The server is half way through its own update: the worker is there, and the script that it needs is not.
  const name = readdirSync(join(folder, 'assets')).find((file) => file.endsWith('.js')) as string;
  cpSync(join(DEMO_DIST, 'assets', name), join(folder, 'assets', name));
  await site.serve(folder);
  const refused = page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const state = new Promise((resolve) => {
      registration.addEventListener('updatefound', () => {
        const worker = registration.installing;
        worker?.addEventListener('statechange', () => resolve(worker.state));
      });
    });
    await registration.update().catch(() => {});
    return state;
  });
  expect(await refused).toBe('redundant');
  expect(await kept(page)).toEqual([old]);
  await expect(page.getByText(NEW_VERSION)).toBeHidden();

  await profile.setOffline();
  await site.stop();
  const again = await profile.open();
  expect(await versionOf(again)).toBe(old);
  await add(again, 'milk');
});
