/** What the benches of direct connections stand on: the package as it ships, the relay as it ships, tabs in contexts of their own. */

import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { CHROMIUM_FLAGS } from '../../scripts/chromium.mjs';
import { Failure } from '../../scripts/console.mjs';
import { invitation } from '../../scripts/invitation.mjs';
import { findChromium, PACKAGE_DIST, relayBinary } from '../../scripts/paths.mjs';
import { freePort, startRelay } from '../../scripts/relay.mjs';
import { serve } from '../../scripts/serve.mjs';

/**
 * The page of every tab: joins the store that its fragment invites to, with the options in its query, and notes when what was reached, in
 * ms since the navigation.
 */
const PAGE = `<!doctype html><title>bench</title><script type="module">
import { GossipStore } from '/index.js';
window.reached = {};
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) window.longTasks.push({ startTime, duration });
}).observe({ type: 'longtask' });
const note = (what) => { window.reached[what] ??= performance.now(); };
const store = await GossipStore.join(location.hash, Object.fromEntries(new URLSearchParams(location.search)));
note('open');
const look = () => {
  const { relays, peers } = store.status;
  if (relays.some(({ state }) => state === 'connected')) note('relay');
  if (peers.length > 0) note('peer');
  if (peers.some(({ path }) => path === 'direct')) note('direct');
};
store.addEventListener('status', look);
look();
window.store = store;
</script>`;

export class World {
  #closing = [];

  static async open() {
    const executablePath = findChromium();
    if (!executablePath) throw new Failure('there is no Chromium here', 'run `npm run setup`');
    const world = new World();
    const folder = mkdtempSync(join(tmpdir(), 'gossipstore-bench-'));
    world.#closing.push(() => rmSync(folder, { recursive: true, force: true }));
    const relay = await startRelay({
      binary: relayBinary('release'),
      port: await freePort(),
      identity: join(folder, 'relay.key'),
    });
    world.#closing.push(() => relay.stop());
    // From a server, as a page that a test tool makes up may not reach this machine's ports.
    const site = join(folder, 'site');
    cpSync(PACKAGE_DIST, site, { recursive: true });
    writeFileSync(join(site, 'tab.html'), PAGE);
    const server = await serve(site);
    world.#closing.push(() => server.close());
    world.browser = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
    world.#closing.push(() => world.browser.close());
    world.relays = [relay.address];
    world.site = site;
    world.origin = server.origin;
    return world;
  }

  /** A tab of its own, once its store is open. `options` are words that `GossipStore.join` takes. */
  async tab(name, options = {}) {
    const context = await this.browser.newContext();
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(error));
    const secret = createHash('sha256').update(name).digest();
    const query = new URLSearchParams(options);
    await page.goto(`${this.origin}/tab.html?${query}#${invitation({ name, secret, relays: this.relays })}`);
    await page.waitForFunction(() => window.store !== undefined);
    return Object.assign(page, { errors });
  }

  async close() {
    for (const close of this.#closing.reverse()) await close();
  }
}

/** Until a tab has so many others, each of them directly. */
export function directly(tab, others) {
  return tab.waitForFunction(
    (others) => {
      const { peers } = window.store.status;
      return peers.length === others && peers.every(({ path }) => path === 'direct');
    },
    others,
    { polling: 20 },
  );
}

/**
 * Half of how long each of `rounds` questions takes until it is answered, in ms, one after the other. The tab asks with
 * `window.ask(n)` and calls `window.answered(n)`.
 */
export function halfRoundTrips(tab, rounds) {
  return tab.evaluate(async (rounds) => {
    const times = [];
    for (let n = 0; n < rounds; n += 1) {
      const start = performance.now();
      const answered = new Promise((resolve) => {
        window.answered = (answer) => answer === n && resolve();
      });
      window.ask(n);
      await answered;
      times.push((performance.now() - start) / 2);
    }
    return times;
  }, rounds);
}

/** A bare data channel between two tabs, as `window.bare` in both: what the browsers themselves can do. */
export async function bareChannel(a, b) {
  const gathered = () =>
    new Promise((resolve) => {
      const { connection } = window;
      const done = () =>
        connection.iceGatheringState === 'complete' && resolve(JSON.stringify(connection.localDescription));
      connection.addEventListener('icegatheringstatechange', done);
      done();
    });
  await a.evaluate(async () => {
    window.connection = new RTCPeerConnection();
    window.bare = window.connection.createDataChannel('bare');
    window.bare.binaryType = 'arraybuffer';
    await window.connection.setLocalDescription();
  });
  const offer = await a.evaluate(gathered);
  await b.evaluate(async (offer) => {
    window.connection = new RTCPeerConnection();
    window.connection.addEventListener('datachannel', ({ channel }) => {
      channel.binaryType = 'arraybuffer';
      window.bare = channel;
    });
    await window.connection.setRemoteDescription(JSON.parse(offer));
    await window.connection.setLocalDescription();
  }, offer);
  const answer = await b.evaluate(gathered);
  await a.evaluate((answer) => window.connection.setRemoteDescription(JSON.parse(answer)), answer);
  for (const tab of [a, b]) await tab.waitForFunction(() => window.bare?.readyState === 'open');
}
