/** From the circuit to the direct connection while one tab keeps writing: how late the other sees a write, at most, in each run. */

import { directly } from './world.mjs';

/** How often is written, in ms: many times while the path changes, which takes some tenths of a second. */
const WRITE_EVERY_MS = 10;

/** For how long after it, in ms. */
const AFTER_MS = 500;

export async function handover(world, runs) {
  const delays = [];
  for (let run = 0; run < runs; run += 1) {
    const [reader, writer] = [await world.tab(`handover ${run}`), await world.tab(`handover ${run}`)];
    await reader.evaluate(() => {
      window.seen = new Map();
      (async () => {
        for await (const { key } of window.store.changes({ prefix: 'write/' })) {
          window.seen.set(key, performance.timeOrigin + performance.now());
        }
      })();
    });
    const written = await writer.evaluate(
      ([every, after]) =>
        new Promise((resolve) => {
          const written = [];
          let until = Number.POSITIVE_INFINITY;
          const write = () => {
            const { peers } = window.store.status;
            const now = performance.now();
            if (peers.some(({ path }) => path === 'direct')) until = Math.min(until, now + after);
            if (now > until) return resolve(written);
            if (peers.length > 0) {
              const key = `write/${written.length}`;
              written.push([key, performance.timeOrigin + now]);
              window.store.set(key, 1);
            }
            setTimeout(write, every);
          };
          write();
        }),
      [WRITE_EVERY_MS, AFTER_MS],
    );
    await Promise.all([directly(reader, 1), directly(writer, 1)]);
    await reader.waitForFunction((count) => window.seen.size === count, written.length, { polling: 20 });
    const seen = new Map(await reader.evaluate(() => [...window.seen]));
    delays.push(Math.max(...written.map(([key, at]) => seen.get(key) - at)));
    for (const tab of [reader, writer]) await tab.context().close();
  }
  return delays;
}
