/**
 * `LRUCache` beside npm `lru-cache`, in one run: `npm run lru --workspace @gossipstore/bench`.
 *
 * Four workloads, at 1,000 and 100,000 entries, in two settings: both bounded by entries, and both bounded by entries and by
 * bytes with a function that tells the size. Ends with status 1 when a column falls short of level.
 */

import { LRUCache as NpmLRUCache } from 'lru-cache';
import { importSource, measure, median, NOISE, printMachine, printTable, ratio, seededRandom } from './measure.mjs';

const ENTRY_BYTES = 100;
/** Operations a sample: enough that a sample takes some 10 ms, short enough that many rounds fit in a minute. */
const OPERATIONS = 200_000;
/** The keys of the mix, as a share of what fits: about one get in five misses. */
const MIX_KEYS = 1.25;

const { LRUCache } = await importSource('../wasm/ts/lru-cache.ts');
const contenders = {
  ours: {
    workloads: await import('./lru-workloads.mjs?ours'),
    items: (max) => new LRUCache({ maxItems: max }),
    bytes: (max) =>
      new LRUCache({ maxItems: max, maxMemoryBytes: max * ENTRY_BYTES, sizeCalculator: () => ENTRY_BYTES }),
  },
  npm: {
    workloads: await import('./lru-workloads.mjs?npm'),
    items: (max) => new NpmLRUCache({ max }),
    bytes: (max) => new NpmLRUCache({ max, maxSize: max * ENTRY_BYTES, sizeCalculation: () => ENTRY_BYTES }),
  },
};

printMachine('npm run lru --workspace @gossipstore/bench');
let short = 0;
for (const [setting, title] of [
  ['items', 'bounded by entries'],
  ['bytes', 'bounded by entries and bytes'],
]) {
  console.log(`${title}: median nanoseconds an operation`);
  const rows = [['', 'LRUCache', 'lru-cache', 'ratio', '']];
  for (const entries of [1_000, 100_000]) {
    for (const [workload, samples] of Object.entries(samplesOf(setting, entries))) {
      const { ours, npm } = measure(samples);
      const times = ratio(npm, ours);
      const ahead = times >= 1 - NOISE;
      if (!ahead) short++;
      rows.push([
        `${workload}, ${entries.toLocaleString('en')}`,
        median(ours).toFixed(1),
        median(npm).toFixed(1),
        `${times.toFixed(2)}x`,
        ahead ? 'level or ahead' : 'falls short',
      ]);
    }
  }
  printTable(rows);
  console.log();
}
console.log(`ratio: how many times faster LRUCache is, the median of all rounds; level: within ${NOISE * 100} %`);
if (short > 0) {
  console.error(`${short} column(s) fall short`);
  process.exitCode = 1;
}

/** For each workload a sample of each contender. */
function samplesOf(setting, entries) {
  const random = seededRandom(entries);
  const { keys, values } = data('key', entries);
  const wide = data('key', Math.floor(entries * MIX_KEYS));
  // Twice what fits: when a key comes round again, it has long been evicted.
  const fresh = data('fresh', entries * 2);
  const picks = (from) => Uint32Array.from({ length: OPERATIONS }, () => Math.floor(random() * from.length));
  const hits = picks(keys);
  const mixed = picks(wide.keys);
  const all = { fill: {}, hit: {}, '90/10 mix': {}, eviction: {} };
  for (const [name, contender] of Object.entries(contenders)) {
    const { workloads } = contender;
    const make = () => contender[setting](entries);
    const full = make();
    for (let k = 0; k < entries; k++) full.set(keys[k], values[k]);
    all.fill[name] = () => workloads.fill(make, keys, values, Math.ceil(OPERATIONS / entries));
    all.hit[name] = () => workloads.hit(full, keys, hits);
    all['90/10 mix'][name] = () => workloads.mix(full, wide.keys, wide.values, mixed);
    all.eviction[name] = () => workloads.evict(full, fresh.keys, fresh.values, OPERATIONS);
  }
  return all;
}

function data(prefix, count) {
  const keys = Array.from({ length: count }, (_, k) => `${prefix}:${k}`);
  return { keys, values: keys.map((_, k) => ({ id: k })) };
}
