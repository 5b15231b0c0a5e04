/** From the navigation of a page, in a browser that was just started, to the first read of what was stored before. */

import { Failure } from '../../scripts/console.mjs';
import { someOf } from './entries.mjs';

/** For how long after the first read tasks count, in ms. */
const AFTER_MS = 2_000;

/** Returns, by contender and run, when the read was done, the longest task in ms, and the bytes of memory. */
export async function opening(world, stored, runs, count) {
  const opened = world.lists();
  await world.rounds(runs, async (contender) => {
    const visit = await stored[contender.name].profile.visit(contender);
    try {
      const { ms, found, kind } = visit.opened;
      // A task is told of when it has ended.
      await visit.pause(AFTER_MS + 500);
      const tasks = await visit.longTasks();
      const durations = tasks.filter(({ startTime }) => startTime <= ms + AFTER_MS).map(({ duration }) => duration);
      opened[contender.name].push({ ms, longestTask: Math.max(0, ...durations), memory: await visit.memory() });
      const missing = kind === 'memory' ? [] : await visit.ask('missing', someOf(count), 0);
      if (kind !== 'memory' && (!found || missing.length > 0)) {
        throw new Failure(`${contender.title} has lost what was stored`);
      }
    } finally {
      await visit.leave();
    }
  });
  return opened;
}
