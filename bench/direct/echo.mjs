/**
 * A small write in one tab, seen in the other: half the round trip of a write that is answered by a write, beside a bare data
 * channel between the same tabs and y-webrtc between two others.
 */

import { bareChannel, directly } from './world.mjs';
import { yWebrtc } from './y-webrtc.mjs';

/** How many round trips come before those that count. */
const WARMUPS = 50;

export async function echo(world, rounds) {
  const [a, b] = [await world.tab('echo'), await world.tab('echo')];
  await Promise.all([directly(a, 1), directly(b, 1)]);
  await bareChannel(a, b);
  const all = rounds + WARMUPS;
  await b.evaluate(() => {
    window.bare.onmessage = ({ data }) => window.bare.send(data);
    (async () => {
      for await (const { key, value, origin } of window.store.changes({ prefix: 'ping' })) {
        if (key === 'ping' && origin === 'remote') window.store.set('pong', value);
      }
    })();
  });
  const times = await a.evaluate(async (all) => {
    const bare = [];
    for (let n = 0; n < all; n += 1) {
      const start = performance.now();
      const answered = new Promise((resolve) => {
        window.bare.onmessage = resolve;
      });
      window.bare.send(`ping ${n}`);
      await answered;
      bare.push((performance.now() - start) / 2);
    }
    const store = [];
    let answered;
    (async () => {
      for await (const { origin, value } of window.store.changes({ prefix: 'pong' })) {
        if (origin === 'remote') answered?.(value);
      }
    })();
    for (let n = 0; n < all; n += 1) {
      const start = performance.now();
      const pong = new Promise((resolve) => {
        answered = (value) => value === n && resolve();
      });
      window.store.set('ping', n);
      await pong;
      store.push((performance.now() - start) / 2);
    }
    return { bare, store };
  }, all);
  for (const tab of [a, b]) await tab.context().close();
  times.rival = await yWebrtc(world, all);
  return Object.fromEntries(Object.entries(times).map(([name, measured]) => [name, measured.slice(WARMUPS)]));
}
