// A transaction is seen whole or not at all, whichever way it arrives.
import { expect, test } from '../world.ts';

const KEYS = Array.from({ length: 50 }, (_, n) => `together/${String(n).padStart(2, '0')}`);
const ROUNDS = 8;

/** Small ones fit into one gossip message; large ones are fetched in a session of several frames. */
for (const { way, padding } of [
  { way: 'gossip', padding: 10 },
  { way: 'a session', padding: 8_000 },
]) {
  test(`a transaction of 50 keys that comes by ${way} is never seen in part`, async ({ join }) => {
    const [ada, ben] = [await join('Ada'), await join('Ben')];
    await ada.inSyncWith(1);
    await ben.inSyncWith(1);

    // Ben reads all keys again and again, as fast as the page can, until the last round is there.
    const seen = ben.page.evaluate(
      async ({ keys, last }) => {
        const store = window.gossipstore?.store;
        const snapshots: { rounds: (number | undefined)[]; polls: number }[] = [];
        const turn = new MessageChannel();
        for (let latest = ''; ; ) {
          const values = (await store?.getMany(keys)) as ({ round: number } | undefined)[];
          const rounds = [...new Set(values.map((value) => value?.round))];
          if (latest !== JSON.stringify(rounds)) snapshots.push({ rounds, polls: 0 });
          latest = JSON.stringify(rounds);
          (snapshots.at(-1) as { polls: number }).polls += 1;
          if (rounds.length === 1 && rounds[0] === last) return snapshots;
          // A task, not a microtask: what arrives must be able to.
          await new Promise((resolve) => {
            turn.port1.onmessage = resolve;
            turn.port2.postMessage(null);
          });
        }
      },
      { keys: KEYS, last: ROUNDS },
    );
    await ada.page.evaluate(
      async ({ keys, rounds, padding }) => {
        for (let round = 1; round <= rounds; round++) {
          await window.gossipstore?.store.transaction((tx) => {
            for (const key of keys) tx.set(key, { round, padding: 'x'.repeat(padding) });
          });
          // A pause for a frame or two, so that rounds arrive one by one.
          await new Promise(requestAnimationFrame);
        }
      },
      { keys: KEYS, rounds: ROUNDS, padding },
    );

    const snapshots = await seen;
    for (const { rounds } of snapshots) expect(rounds).toHaveLength(1);
    const rounds = snapshots.map(({ rounds: [round] }) => round ?? 0);
    expect(rounds[0]).toBe(0);
    expect(rounds.at(-1)).toBe(ROUNDS);
    expect([...rounds].sort((a, b) => a - b)).toEqual(rounds);
    expect(snapshots.reduce((sum, { polls }) => sum + polls, 0)).toBeGreaterThan(ROUNDS);
  });
}
