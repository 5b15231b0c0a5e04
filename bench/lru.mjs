/**
 * `LRUCache` beside npm `lru-cache`, in one run: `npm run lru --workspace @gossipstore/bench`.
 *
 * Four workloads, at 1,000 and 100,000 entries, in three settings: both bounded by entries; both bounded by entries and by
 * bytes, with a function that tells the size; and both bounded by entries with objects as values. In the last, `LRUCache` looks
 * into every object that is set, to fix its size, where `lru-cache` measures nothing: it shows what that costs and is no contest.
 * Ends with status 1 when a column of the others falls short of level.
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
for (const { setting, title, value, contest } of [
  { setting: 'items', title: 'bounded by entries, numbers as values', value: (k) => k, contest: true },
  {
    setting: 'bytes',
    title: 'bounded by entries and bytes, objects as values',
    value: (k) => ({ id: k }),
    contest: true,
  },
  { setting: 'items', title: 'bounded by entries, objects as values', value: (k) => ({ id: k }), contest: false },
]) {
  console.log(`${title}: median nanoseconds an operation`);
  const rows = [['', 'LRUCache', 'lru-cache', 'ratio', '']];
  for (const entries of [1_000, 100_000]) {
    for (const [workload, samples] of Object.entries(samplesOf(setting, entries, value))) {
      const { ours, npm } = measure(samples);
      const times = ratio(npm, ours);
      const ahead = times >= 1 - NOISE;
      if (contest && !ahead) short++;
      rows.push([
        `${workload}, ${entries.toLocaleString('en')}`,
        median(ours).toFixed(1),
        median(npm).toFixed(1),
        `${times.toFixed(2)}x`,
        contest ? (ahead ? 'level or ahead' : 'falls short') : '',
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
function samplesOf(setting, entries, value) {
  const random = seededRandom(entries);
  const { keys, values } = data('key', entries, value);
  const wide = data('key', Math.floor(entries * MIX_KEYS), value);
  // Twice what fits: when a key comes round again, it has long been evicted.
  const fresh = data('fresh', entries * 2, value);
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

function data(prefix, count, value) {
  const keys = Array.from({ length: count }, (_, k) => `${prefix}:${k}`);
  return { keys, values: keys.map((_, k) => value(k)) };
}
