/**
 * A small write in one tab, seen in the other: half the round trip of a write that is answered by a write, of stores in memory and of such
 * that are kept on the disk, beside a bare data channel between the same tabs and y-webrtc, which keeps nothing, between two others.
 */

import { bareChannel, directly, halfRoundTrips } from './world.mjs';
import { yWebrtc } from './y-webrtc.mjs';

/** How many round trips come before those that count. */
const WARMUPS = 50;

export async function echo(world, rounds) {
  const all = rounds + WARMUPS;
  const kept = await between(world, {}, writes, all);
  const store = await between(world, { storage: 'memory' }, writes, all);
  const bare = await between(world, { storage: 'memory' }, messages, all);
  const times = { bare, store, kept, rival: await yWebrtc(world, all) };
  return Object.fromEntries(Object.entries(times).map(([name, measured]) => [name, measured.slice(WARMUPS)]));
}

/** How long each round trip of a kind takes between two tabs that are connected directly. */
async function between(world, options, kind, rounds) {
  const [a, b] = [await world.tab('echo', options), await world.tab('echo', options)];
  await Promise.all([directly(a, 1), directly(b, 1)]);
  await kind(a, b);
  const times = await halfRoundTrips(a, rounds);
  for (const tab of [a, b]) await tab.context().close();
  return times;
}

async function messages(a, b) {
  await bareChannel(a, b);
  await b.evaluate(() => {
    window.bare.onmessage = ({ data }) => window.bare.send(data);
  });
  await a.evaluate(() => {
    window.ask = (n) => window.bare.send(String(n));
    window.bare.onmessage = ({ data }) => window.answered(Number(data));
  });
}

async function writes(a, b) {
  await b.evaluate(() => {
    (async () => {
      for await (const { key, value, origin } of window.store.changes({ prefix: 'ping' })) {
        if (key === 'ping' && origin === 'remote') window.store.set('pong', value);
      }
    })();
  });
  await a.evaluate(() => {
    window.ask = (n) => window.store.set('ping', n);
    (async () => {
      for await (const { origin, value } of window.store.changes({ prefix: 'pong' })) {
        if (origin === 'remote') window.answered(value);
      }
    })();
  });
}
