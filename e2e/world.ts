// What every test stands on: the built demo on a web server, the real relay as a process, and people, each with a browser
// profile of their own. Everything is made anew for each test and ends with it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GossipStore, Status } from '@gossipstore/core';
import { type Browser, type BrowserContext, test as base, expect, type Locator, type Page } from '@playwright/test';
import { invitation, newSecret } from '../scripts/invitation.mjs';
import { DEMO_DIST, relayBinary } from '../scripts/paths.mjs';
import { freePort, startRelay } from '../scripts/relay.mjs';
import { serve } from '../scripts/serve.mjs';
import { type BrowserName, launch, PERMISSIONS } from './browsers.ts';
import { Line } from './line.ts';

declare global {
  interface Window {
    gossipstore?: { store: GossipStore };
    /** The page's direct connections to others. */
    directConnections?: RTCPeerConnection[];
  }
}

/** Keeps hold of a page's direct connections, which go from browser to browser with no line between that could be cut. */
function holdDirectConnections(): void {
  if (!('RTCPeerConnection' in window)) return;
  const held: RTCPeerConnection[] = [];
  window.directConnections = held;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args: ConstructorParameters<typeof RTCPeerConnection>) {
      super(...args);
      held.push(this);
    }
  };
}

/** The relay, which can be stopped and started again under the same address. */
export class Relay {
  #running: Awaited<ReturnType<typeof startRelay>> | undefined;
  #log = '';

  constructor(
    readonly port: number,
    private readonly identity: string,
  ) {}

  async start(): Promise<void> {
    const binary = process.env.GOSSIPSTORE_RELAY ?? relayBinary('dev');
    this.#running = await startRelay({ binary, port: this.port, identity: this.identity });
  }

  async stop(): Promise<void> {
    if (this.#running === undefined) return;
    await this.#running.stop();
    this.#log += this.#running.log();
  }

  /** The multiaddress as the relay printed it, through another port when one is given. */
  address(port: number = this.port): string {
    if (this.#running === undefined) throw new Error('the relay was not started');
    return this.#running.address.replace(/\/tcp\/\d+\//, `/tcp/${port}/`);
  }

  get log(): string {
    return this.#log;
  }
}

/** Someone with a browser of their own, looking at a list. */
export class Person {
  /** Console errors that the test brings about on purpose. */
  readonly expectedErrors: RegExp[] = [];
  readonly #unexpected: string[] = [];

  constructor(
    readonly name: string,
    readonly page: Page,
    /** Their own line to the relay; cutting it leaves the others connected. */
    readonly line: Line,
  ) {
    page.on('pageerror', (error) => this.note(`page error: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.note(`console error: ${message.text()}`);
    });
    page.on('crash', () => this.note('the tab crashed'));
  }

  /** Something has gone wrong: a test fails by it unless it is expected. */
  note(text: string): void {
    if (!this.expectedErrors.some((pattern) => pattern.test(text))) this.#unexpected.push(`${this.name}: ${text}`);
  }

  get unexpected(): readonly string[] {
    return this.#unexpected;
  }

  /** Another tab of the same browser. */
  async anotherTab(): Promise<Page> {
    const page = await this.page.context().newPage();
    page.on('pageerror', (error) => this.note(`page error: ${error.stack ?? error.message}`));
    await page.goto(this.page.url());
    await page.waitForFunction(() => window.gossipstore !== undefined);
    return page;
  }

  get badge(): Locator {
    return this.page.locator('#badge');
  }

  get rows(): Locator {
    return this.page.locator('#list .row');
  }

  /** The row that reads exactly this. */
  row(text: string): Locator {
    return this.rows.filter({ has: this.page.locator('.text', { hasText: exactly(text) }) });
  }

  get newText(): Locator {
    return this.page.locator('#new-text');
  }

  async add(text: string): Promise<void> {
    await this.newText.fill(text);
    await this.newText.press('Enter');
    await expect(this.row(text)).toBeVisible();
  }

  async edit(text: string, to: string): Promise<void> {
    await this.row(text).locator('.text').click();
    const editor = this.page.locator('.row .editor');
    await editor.fill(to);
    await editor.press('Enter');
    await expect(this.row(to)).toBeVisible();
  }

  async delete(text: string): Promise<void> {
    await this.row(text)
      .getByRole('button', { name: /^Delete/ })
      .click();
    await expect(this.row(text)).toHaveCount(0);
  }

  /** Breaks one direct connection, and waits until one is missing. */
  async loseOne(): Promise<void> {
    await this.page.evaluate(async () => {
      const store = window.gossipstore?.store as GossipStore;
      const before = store.status.peers.length;
      const missing = new Promise<void>((resolve) => {
        store.addEventListener('status', () => {
          if (store.status.peers.length < before) resolve();
        });
      });
      const connected = (connection: RTCPeerConnection) => connection.connectionState === 'connected';
      window.directConnections?.find(connected)?.close();
      await missing;
    });
  }

  /** Takes the network from this person. */
  async goAway(): Promise<void> {
    this.line.cut();
    await this.page.evaluate(() => {
      for (const connection of window.directConnections?.splice(0) ?? []) connection.close();
    });
    await expect(this.badge).toHaveAttribute('data-network', 'offline');
  }

  /** Gives it back. */
  comeBack(): void {
    this.line.mend();
  }

  /** Until the badge says so: so many others, and all of them in sync with this one. */
  async inSyncWith(others: number): Promise<void> {
    await expect(this.badge).toHaveAttribute('data-peers', String(others), { timeout: 45_000 });
    await expect(this.badge).toHaveAttribute('data-in-sync', 'true');
  }

  /** What the store says of itself. */
  get status(): Promise<Status> {
    return this.page.evaluate(() => {
      const store = window.gossipstore?.store as GossipStore;
      return store.status;
    });
  }

  /** Until so many others are connected, each of them directly. */
  async directlyWith(others: number): Promise<void> {
    const paths = async () => (await this.status).peers.map(({ path }) => path);
    await expect.poll(paths, { timeout: 45_000 }).toEqual(Array(others).fill('direct'));
  }

  /** All keys and values under a prefix, as this person's store holds them. */
  entries(prefix = ''): Promise<[string, unknown][]> {
    return this.page.evaluate(async (prefix) => {
      const store = window.gossipstore?.store as GossipStore;
      const found: [string, unknown][] = [];
      for await (const [key, value] of store.entries({ prefix })) found.push([key, value]);
      return found;
    }, prefix);
  }

  /** The versions that the page offers for an entry in conflict, in a fixed order. */
  async versions(row: Locator): Promise<string[]> {
    const mark = row.locator('.mark');
    await expect(mark).toBeVisible({ timeout: 45_000 });
    if ((await mark.getAttribute('aria-expanded')) === 'false') await mark.click();
    await expect(row.locator('.version').first()).toBeVisible();
    return (await row.locator('.version-text').allTextContents()).sort();
  }
}

/** A pattern for the whole text. */
function exactly(text: string): RegExp {
  return new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
}

export interface JoinOptions {
  /** Instead of the invitation to the test's list. */
  fragment?: string;
  expectedErrors?: RegExp[];
  /** Runs in the page before anything else does. */
  before?: () => void;
  /** Is done before the page, of this origin, is opened. */
  arrange?: (page: Page, origin: string) => Promise<void>;
  /** Instead of one that others sit at, too. */
  browser?: Browser;
}

export interface Arrangement {
  /** Opens the test's list as someone new. They find each other at the relay. */
  join: (name: string, options?: JoinOptions) => Promise<Person>;
  /** The fragment that leads to the test's list, by way of these relays. */
  invite: (...relays: string[]) => string;
  relay: Relay;
}

export interface Settings {
  /** At which browsers the people of a test sit, in the order in which they join; after the last the first comes again. */
  browsers: BrowserName[];
}

interface Standing {
  /** Where the demo is served. */
  origin: string;
  /** The browsers of the settings, running. */
  launched: Map<BrowserName, Browser>;
}

export const test = base.extend<Arrangement, Settings & Standing>({
  browsers: [['chromium'], { option: true, scope: 'worker' }],

  launched: [
    async ({ browsers, playwright }, use) => {
      const launched = new Map<BrowserName, Browser>();
      for (const name of new Set(browsers)) launched.set(name, await launch(playwright, name));
      await use(launched);
      for (const browser of launched.values()) await browser.close();
    },
    { scope: 'worker' },
  ],

  origin: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
    async ({}, use) => {
      const page = await serve(DEMO_DIST);
      await use(page.origin);
      await page.close();
    },
    { scope: 'worker' },
  ],

  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
  relay: async ({}, use, info) => {
    const folder = mkdtempSync(join(tmpdir(), 'gossipstore-relay-'));
    const relay = new Relay(await freePort(), join(folder, 'relay.key'));
    await relay.start();
    await use(relay);
    await relay.stop();
    if (info.status !== info.expectedStatus)
      await info.attach('relay.log', { body: relay.log, contentType: 'text/plain' });
    rmSync(folder, { recursive: true, force: true });
  },

  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
  invite: async ({}, use) => {
    const secret = newSecret();
    await use((...relays) => `#join=${invitation({ name: 'shopping', secret, relays })}`);
  },

  join: async ({ browsers, invite, launched, origin, relay }, use) => {
    const people: Person[] = [];
    const contexts: BrowserContext[] = [];
    await use(async (name, { fragment, expectedErrors = [], before, arrange, browser } = {}) => {
      const kind = browsers[people.length % browsers.length] as BrowserName;
      const context = await (browser ?? (launched.get(kind) as Browser)).newContext({ permissions: PERMISSIONS[kind] });
      contexts.push(context);
      if (before) await context.addInitScript(before);
      await context.addInitScript(holdDirectConnections);
      const line = await Line.open(relay.port);
      const person = new Person(name, await context.newPage(), line);
      person.expectedErrors.push(...expectedErrors);
      people.push(person);
      await arrange?.(person.page, origin);
      await person.page.goto(`${origin}/${fragment ?? invite(relay.address(line.port))}`);
      await person.page.waitForFunction(() => window.gossipstore !== undefined);
      return person;
    });
    for (const context of contexts) await context.close();
    for (const { line } of people) await line.close();
    // Whatever a test is about, no page may raise an error that nobody expected.
    expect(people.flatMap(({ unexpected }) => unexpected)).toEqual([]);
  },
});

export { RELAY_NOT_REACHED } from './browsers.ts';
export { expect };
