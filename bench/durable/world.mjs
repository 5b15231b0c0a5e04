/** Who is measured, each with an origin of its own, and the profiles that they write to. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../scripts/console.mjs';
import { findChromium } from '../../scripts/paths.mjs';
import { Profile } from './profile.mjs';
import { makeSite } from './site.mjs';

/**
 * Names are those of the modules in `contenders/`. One that is `slow` is filled once and not overwritten: its time for one run is
 * that of all the others together.
 */
const CONTENDERS = [
  { name: 'gossipstore', title: 'this store', durability: 'strict' },
  { name: 'y-indexeddb', title: 'Yjs with y-indexeddb', durability: 'relaxed' },
  { name: 'raw-indexeddb', title: 'IndexedDB itself', durability: 'strict' },
  { name: 'idb-keyval', title: 'idb-keyval', durability: 'relaxed' },
  { name: 'pouchdb', title: 'PouchDB', durability: 'relaxed', slow: true },
];

export class World {
  contenders = [];
  #folder = mkdtempSync(join(tmpdir(), 'gossipstore-bench-'));
  #browser;
  #profiles = 0;
  #remove = () => rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });

  static async open() {
    const world = new World();
    // Hundreds of megabytes: they are not left behind by a run that is interrupted either.
    process.once('exit', world.#remove);
    try {
      world.#browser = findChromium();
      if (!world.#browser) throw new Failure('there is no Chromium here', 'run `npm run setup`');
      for (const contender of CONTENDERS) {
        const site = await makeSite(join(world.#folder, contender.name), contender.name);
        world.contenders.push({ ...contender, site });
      }
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  /** A profile in which nothing was stored. */
  profile() {
    this.#profiles += 1;
    return new Profile(join(this.#folder, `profile-${this.#profiles}`), this.#browser);
  }

  /** Calls `work` with each contender, so many rounds, and each round another begins: a slow minute of the machine hits all. */
  async rounds(count, work) {
    for (let round = 0; round < count; round += 1) {
      for (let turn = 0; turn < this.contenders.length; turn += 1) {
        await work(this.contenders[(turn + round) % this.contenders.length], round);
      }
    }
  }

  /** A list for each contender, by its name. */
  lists() {
    return Object.fromEntries(this.contenders.map(({ name }) => [name, []]));
  }

  async close() {
    for (const { site } of this.contenders) await site.close();
    this.#remove();
    process.off('exit', this.#remove);
  }
}
