/**
 * A small write in one tab, seen in the other: half the round trip of a write that is answered by a write, beside a bare data
 * channel between the same tabs and y-webrtc between two others.
 */

import { bareChannel, directly, halfRoundTrips } from './world.mjs';
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
  await a.evaluate(() => {
    window.ask = (n) => window.bare.send(String(n));
    window.bare.onmessage = ({ data }) => window.answered(Number(data));
  });
  const bare = await halfRoundTrips(a, all);
  await a.evaluate(() => {
    window.ask = (n) => window.store.set('ping', n);
    (async () => {
      for await (const { origin, value } of window.store.changes({ prefix: 'pong' })) {
        if (origin === 'remote') window.answered(value);
      }
    })();
  });
  const store = await halfRoundTrips(a, all);
  for (const tab of [a, b]) await tab.context().close();
  const times = { bare, store, rival: await yWebrtc(world, all) };
  return Object.fromEntries(Object.entries(times).map(([name, measured]) => [name, measured.slice(WARMUPS)]));
}
