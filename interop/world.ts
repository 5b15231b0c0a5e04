// What every test stands on: the page on a web server, the real relay as a process, and two peers, each in a tab of a browser
// profile of its own. The peers are made anew for each test.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, test as base, expect, type Page } from '@playwright/test';
import { launch } from '../e2e/browsers.ts';
import { INTEROP_DIST, relayBinary } from '../scripts/paths.mjs';
import { freePort, startRelay } from '../scripts/relay.mjs';
import { serve } from '../scripts/serve.mjs';
import type { Kind, Options, Peer } from './page/peer.ts';

/** Who dials whom: each test is run with all of these. */
export const DIRECTIONS = [
  { dialler: 'rust', listener: 'js' },
  { dialler: 'js', listener: 'rust' },
] as const satisfies { dialler: Kind; listener: Kind }[];

/** A peer in its tab. */
export interface Side {
  readonly kind: Kind;
  readonly page: Page;
  readonly peer: Peer;
  readonly id: string;
}

/** Two who are connected directly. */
export interface Pair {
  readonly dialler: Side;
  readonly listener: Side;
}

/** The peer in a page, as if it were here. */
function remote(page: Page): Peer {
  const call =
    (method: string) =>
    (...args: unknown[]) =>
      page.evaluate(
        ([method, args]) => {
          const peer = window.peer as unknown as Record<string, (...args: unknown[]) => unknown>;
          return peer[method]?.(...args);
        },
        [method, args] as const,
      );
  // To await the peer itself is not to call a method of that name.
  return new Proxy({} as Peer, { get: (_, name) => (name === 'then' ? undefined : call(String(name))) });
}

/** A stream from one to the other: its number at each. */
export async function stream(from: Side, to: Side): Promise<[ours: number, theirs: number]> {
  return Promise.all([from.peer.open(to.id), to.peer.accept()]);
}

/** Until neither browser has a stream open, of as many as there must have been. */
export async function noStreamIsLeft(ever: number, ...sides: Side[]): Promise<void> {
  for (const { page } of sides) {
    const streams = () => page.evaluate(() => window.census.streams());
    expect((await streams()).ever).toBeGreaterThanOrEqual(ever);
    await expect.poll(async () => (await streams()).open).toBe(0);
  }
}

export interface Arrangement {
  dialler: Kind;
  listener: Kind;
  /** Whether the two gossip, for which they keep streams open. */
  gossips: boolean;
  start: (kind: Kind, options: Options) => Promise<Side>;
  pair: Pair;
}

interface Standing {
  origin: string;
  /** The relay's address. */
  relay: string;
}

export const test = base.extend<Arrangement, Standing>({
  browser: [
    async ({ playwright }, use) => {
      const browser = await launch(playwright, 'chromium');
      await use(browser);
      await browser.close();
    },
    { scope: 'worker' },
  ],

  origin: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
    async ({}, use) => {
      const page = await serve(INTEROP_DIST);
      await use(page.origin);
      await page.close();
    },
    { scope: 'worker' },
  ],

  relay: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's needs from its pattern.
    async ({}, use) => {
      const folder = mkdtempSync(join(tmpdir(), 'gossipstore-relay-'));
      const binary = process.env.GOSSIPSTORE_RELAY ?? relayBinary('dev');
      const relay = await startRelay({ binary, port: await freePort(), identity: join(folder, 'relay.key') });
      await use(relay.address);
      await relay.stop();
      rmSync(folder, { recursive: true, force: true });
    },
    { scope: 'worker' },
  ],

  dialler: ['rust', { option: true }],
  listener: ['js', { option: true }],
  gossips: [false, { option: true }],

  start: async ({ browser, origin }, use) => {
    const contexts: BrowserContext[] = [];
    const unexpected: string[] = [];
    await use(async (kind, options) => {
      const context = await browser.newContext();
      contexts.push(context);
      const page = await context.newPage();
      page.on('pageerror', (error) => unexpected.push(`${kind}: ${error.stack ?? error.message}`));
      page.on('crash', () => unexpected.push(`${kind}: the tab crashed`));
      await page.goto(origin);
      await page.evaluate(([kind, options]) => window.start(kind, options), [kind, options] as const);
      const peer = remote(page);
      return { kind, page, peer, id: await peer.id() };
    });
    for (const context of contexts) await context.close();
    expect(unexpected).toEqual([]);
  },

  pair: async ({ start, relay, dialler, listener, gossips }, use) => {
    const [listening, dialling] = await Promise.all([start(listener, { relay, gossips }), start(dialler, { gossips })]);
    await dialling.peer.dial(await listening.peer.address());
    await Promise.all([dialling.peer.connected(listening.id), listening.peer.connected(dialling.id)]);
    await use({ dialler: dialling, listener: listening });
  },
});

export { expect };
