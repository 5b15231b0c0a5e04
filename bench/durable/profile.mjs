/** A browser's profile on disk. It outlives the browser, so that what is read after a restart was stored. */

import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { CHROMIUM_FLAGS } from '../../scripts/chromium.mjs';
import { Failure } from '../../scripts/console.mjs';

/** How long a browser that was just started is left to itself: it is busy with its own beginning. */
const STARTED_MS = 500;

/** How long anything that a page is asked for may take. */
const LIMIT_MS = 300_000;

export class Profile {
  #folder;
  #browser;

  constructor(folder, browser) {
    this.#folder = folder;
    this.#browser = browser;
    mkdirSync(folder);
  }

  /** Starts a browser and opens the contender's page in it, up to the first read. */
  async visit(contender) {
    const context = await chromium.launchPersistentContext(this.#folder, {
      executablePath: this.#browser,
      args: CHROMIUM_FLAGS,
    });
    const visit = new Visit(contender, context);
    try {
      await visit.open();
      return visit;
    } catch (error) {
      await context.close();
      throw error;
    }
  }

  /** Bytes of the files in which the browser keeps databases. */
  diskBytes() {
    let bytes = 0;
    for (const path of readdirSync(this.#folder, { recursive: true })) {
      if (!/[\\/]IndexedDB[\\/]/.test(path)) continue;
      // The browser is at work and may have removed it meanwhile.
      const stat = statSync(join(this.#folder, path), { throwIfNoEntry: false });
      if (stat?.isFile()) bytes += stat.size;
    }
    return bytes;
  }
}

/** One browser, from its start to its end, with the one page that it shows. */
class Visit {
  /** Of the first read: when it was done, in ms since the navigation, whether it found its value, and where the data is. */
  opened;
  #contender;
  #context;
  #page;
  #errors = [];
  #strangers = new Set();

  constructor(contender, context) {
    this.#contender = contender;
    this.#context = context;
    [this.#page] = context.pages();
    this.#page.on('pageerror', ({ message }) => this.#errors.push(message));
    context.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== contender.site.origin) this.#strangers.add(request.url());
    });
  }

  async open() {
    await this.#page.waitForTimeout(STARTED_MS);
    await this.#within('opening', async () => {
      await this.#page.goto(this.#contender.site.origin);
      this.opened = await this.#page.evaluate(() => window.opened);
    });
  }

  /** Has the page do something; see `page.mjs`. */
  ask(what, ...args) {
    return this.#within(what, () => this.#page.evaluate(([what, args]) => window.bench[what](...args), [what, args]));
  }

  get version() {
    return this.#context.browser().version();
  }

  pause(ms) {
    return this.#page.waitForTimeout(ms);
  }

  /** The long tasks since the navigation, each with when it began and how many ms it took. */
  longTasks() {
    return this.#page.evaluate(() => window.longTasks);
  }

  /** Bytes of the page's memory after a collection: of JavaScript, its buffers included, and of wasm. */
  async memory() {
    const session = await this.#context.newCDPSession(this.#page);
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize } = await session.send('Runtime.getHeapUsage');
    await session.detach();
    return { javascript: usedSize + backingStorageSize, wasm: await this.ask('wasmBytes') };
  }

  /** Ends the browser, with the page open, as a person would. */
  async leave() {
    await this.#context.close();
    if (this.#strangers.size > 0) {
      throw new Failure(`${this.#contender.title}: the page asked for ${[...this.#strangers].join(', ')}`);
    }
  }

  async #within(what, work) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Failure(`not done within ${LIMIT_MS / 1_000} s`)), LIMIT_MS);
    });
    const done = work();
    // If it fails after it was given up, that is no error of its own.
    done.catch(() => {});
    try {
      return await Promise.race([done, late]);
    } catch (error) {
      throw new Failure(`${this.#contender.title}, ${what}: ${[error.message, ...this.#errors].join('; ')}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
