/** A store that reaches an empty tab, beside as many bytes over a bare data channel, and how long the pages' tasks are meanwhile. */

import { bareChannel, directly } from './world.mjs';

const VALUE_BYTES = 1_000;

export async function bulk(world, megabytes) {
  const count = (megabytes * 1_000_000) / VALUE_BYTES;
  const a = await world.tab('bulk');
  await a.evaluate(
    async ([count, bytes]) => {
      const filling = (n) => new Uint8Array(bytes).fill(n);
      const entries = Array.from({ length: count }, (_, n) => [`key/${String(n).padStart(8, '0')}`, filling(n)]);
      await window.store.setMany(entries);
      window.longTasks.length = 0;
    },
    [count, VALUE_BYTES],
  );
  const b = await world.tab('bulk');
  const [direct, done] = await b.evaluate(
    (count) =>
      new Promise((resolve) => {
        const look = () => {
          const { peers } = window.store.status;
          if (window.store.size === count && peers[0]?.inSync) resolve([window.reached.direct, performance.now()]);
          else setTimeout(look, 10);
        };
        look();
      }),
    count,
  );
  const tasks = {};
  for (const [name, tab] of Object.entries({ sender: a, receiver: b })) {
    tasks[name] = await tab.evaluate(() => {
      // That the page was opened took its time, too.
      const since = window.longTasks.filter(({ startTime }) => startTime > window.reached.peer);
      return since.map(({ duration }) => duration);
    });
  }
  await Promise.all([directly(a, 1), directly(b, 1)]);
  await bareChannel(a, b);
  const bareMs = await bare(a, b, megabytes * 1_000_000);
  for (const tab of [a, b]) await tab.context().close();
  return { bytes: megabytes * 1_000_000, storeMs: done - direct, bareMs, tasks };
}

/** How long so many bytes take over the bare channel, in messages of 16 KiB, with a full buffer. */
async function bare(a, b, bytes) {
  await b.evaluate((bytes) => {
    let left = bytes;
    window.bare.onmessage = ({ data }) => {
      left -= data.byteLength;
      if (left <= 0) window.bare.send('all');
    };
  }, bytes);
  return a.evaluate(
    (bytes) =>
      new Promise((resolve) => {
        const { bare } = window;
        const message = new Uint8Array(16 * 1024);
        let left = bytes;
        const start = performance.now();
        bare.onmessage = () => resolve(performance.now() - start);
        bare.bufferedAmountLowThreshold = 512 * 1024;
        const fill = () => {
          while (left > 0 && bare.bufferedAmount < 1024 * 1024) {
            bare.send(message);
            left -= message.length;
          }
        };
        bare.onbufferedamountlow = fill;
        fill();
      }),
    bytes,
  );
}
