/** Many entries written at once, and what they take on disk. */

import { Failure } from '../../scripts/console.mjs';
import { someOf } from './entries.mjs';

/** How often the records are counted until they have stayed the same for so long, and when that is given up, in ms. */
const LOOK_EVERY_MS = 1_000;
const STILL_MS = 5_000;
const STILL_WITHIN_MS = 90_000;

/**
 * Fills empty profiles. Returns, by contender, how many ms each run took, the bytes after the first run, and the profile of that.
 */
export async function filling(world, runs, count) {
  const times = world.lists();
  const stored = {};
  await world.rounds(runs, async (contender, round) => {
    if (contender.slow && round > 0) return;
    const profile = world.profile();
    const visit = await profile.visit(contender);
    try {
      times[contender.name].push(await visit.ask('fill', count, 0));
      await holding(contender, visit, count, 0);
      if (stored[contender.name]) return;
      const bytes = await settled(profile, visit);
      // No bytes would be below every bar.
      if (bytes.records === 0 && visit.opened.kind === 'indexeddb') {
        throw new Failure(`${contender.title} has nothing in IndexedDB: what it takes on disk is not counted`);
      }
      stored[contender.name] = { profile, bytes };
    } finally {
      await visit.leave();
    }
  });
  return { times, stored };
}

/** Overwrites all entries so many times where they are stored. Returns, by contender, the bytes after it. */
export async function overwriting(world, stored, times, count) {
  const bytes = {};
  for (const contender of world.contenders.filter(({ slow }) => !slow)) {
    const { profile } = stored[contender.name];
    const visit = await profile.visit(contender);
    try {
      for (let time = 1; time <= times; time += 1) await visit.ask('fill', count, time);
      await holding(contender, visit, count, times);
      bytes[contender.name] = await settled(profile, visit);
    } finally {
      await visit.leave();
    }
  }
  return bytes;
}

async function holding(contender, visit, count, overwritten) {
  const missing = await visit.ask('missing', someOf(count), overwritten);
  if (missing.length > 0) throw new Failure(`${contender.title} does not read as written: ${missing.join(', ')}`);
}

/**
 * The bytes once nothing is tidied up any more: those of the records, those that the browser says are used, and those of its files.
 * The last two are as they are: the database below compacts its files when it likes.
 */
async function settled(profile, visit) {
  let records;
  let still = 0;
  for (let waited = 0; still < STILL_MS; waited += LOOK_EVERY_MS) {
    if (waited > STILL_WITHIN_MS) throw new Failure(`the records still change after ${STILL_WITHIN_MS / 1_000} s`);
    await visit.pause(LOOK_EVERY_MS);
    const now = await visit.ask('recordBytes');
    still = now === records ? still + LOOK_EVERY_MS : 0;
    records = now;
  }
  return { records, estimate: await visit.ask('estimatedBytes'), files: profile.diskBytes() };
}
