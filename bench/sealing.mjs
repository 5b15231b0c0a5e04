/**
 * What it costs a writer that a store belongs to its members: the hash of a transaction, which is in every write, and the seal of
 * what is gossiped of it, which is made while others are linked. Beside it, in turn, the whole of a write as an application makes it, by the
 * package's own `set` in a store that is kept in memory: what is kept on a disk takes longer, and what is gossiped costs more than
 * its seal. `npm run bench:sealing`, after `npm run build`.
 *
 * Time is the processor's. Ends with status 1 when writes take more than 1.2 times what they would take without.
 */

import { GossipStore } from '@gossipstore/core';
import { loadExample } from './example.mjs';
import { median, printMachine, printTable } from './measure.mjs';

const WRITES = 2_000;
const VALUE_BYTES = 50;
const ROUNDS = 21;
const WARMUPS = 5;

/** How much slower writes may be. */
const BAR = 1.2;

const { Sealing } = await loadExample('sealing');
const sealing = new Sealing(WRITES, VALUE_BYTES);
const store = await GossipStore.open('sealing', { storage: 'memory', relays: [] });
const value = new Uint8Array(VALUE_BYTES - 4);

let written = 0;
const contenders = {
  'a new key': async () => {
    const first = written;
    written += WRITES;
    await Promise.all(Array.from({ length: WRITES }, (_, n) => store.set(`key ${first + n}`, value)));
  },
  'a key again': () => Promise.all(Array.from({ length: WRITES }, (_, n) => store.set(`again ${n}`, value))),
  hash: () => sealing.hash(),
  seal: () => sealing.seal(),
};

const samples = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
for (let round = 0; round < WARMUPS + ROUNDS; round += 1) {
  for (const [name, once] of Object.entries(contenders)) {
    const begun = process.cpuUsage();
    await once();
    const { user, system } = process.cpuUsage(begun);
    if (round >= WARMUPS) samples[name].push((user + system) / WRITES);
  }
}
await store.close();

const medians = Object.fromEntries(Object.entries(samples).map(([name, times]) => [name, median(times)]));
const { hash, seal } = medians;
const rows = [['microseconds', 'all', 'hash', 'over without it', 'seal', 'with it, over without either']];
let short = 0;
for (const name of ['a new key', 'a key again']) {
  const whole = medians[name];
  const without = whole - hash;
  const [hashed, sealed] = [whole / without, (whole + seal) / without];
  if (Math.max(hashed, sealed) > BAR) short += 1;
  const numbers = [whole, hash, hashed, seal, sealed].map((number) => number.toFixed(2));
  rows.push([name, ...numbers]);
}
printMachine('npm run bench:sealing');
printTable(rows);
if (short > 0) {
  console.error(`${short} row(s) above ${BAR}`);
  process.exitCode = 1;
}
