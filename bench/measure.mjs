/**
 * Comparing two implementations in one process, fairly: what the benches share.
 *
 * Each sample of one side is followed by a sample of the other, and who begins alternates, so that a slow second of the
 * machine or a warm cache hits both. Time is the processor's, spent on this process, its collector and compiler included: on a
 * busy machine the clock on the wall measures the neighbours. Medians, not means: one long pause is not news.
 */

import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';

/** Two medians that lie closer than this are level: the same code measured twice differs by as much. */
export const NOISE = 0.03;

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc');

/** Compiles a TypeScript module of the package and imports it. */
export async function importSource(path) {
  const entry = fileURLToPath(new URL(path, import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    logLevel: 'error',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

/**
 * Measures contenders against each other. `contenders` maps a name to a function that does one sample and returns how many
 * operations it did; what it has as `prepare` runs before, uncounted. Returns, by name, the nanoseconds an operation of each
 * round.
 */
export function measure(contenders, { rounds = 21, warmups = 3 } = {}) {
  const names = Object.keys(contenders);
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < warmups + rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length];
      const sample = contenders[name];
      sample.prepare?.();
      collectGarbage();
      const start = process.cpuUsage();
      const operations = sample();
      const { user, system } = process.cpuUsage(start);
      if (round >= warmups) samples[name].push(((user + system) * 1000) / operations);
    }
  }
  return samples;
}

/** The same, and of each contender only the median. */
export function compare(contenders, options) {
  const samples = measure(contenders, options);
  return Object.fromEntries(Object.entries(samples).map(([name, rounds]) => [name, median(rounds)]));
}

/** How many times longer `slow` took than `fast`: the median of the rounds' ratios, since a round's samples share its noise. */
export function ratio(slow, fast) {
  return median(slow.map((nanoseconds, round) => nanoseconds / fast[round]));
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The same sequence for the same seed (mulberry32): floats from 0 up to 1. */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function machine() {
  const [cpu] = cpus();
  return `${cpu?.model.trim() ?? 'unknown'}, ${cpus().length} cores; node ${process.version}, V8 ${process.versions.v8}`;
}

export function printMachine(command) {
  console.log(`machine: ${machine()}`);
  console.log(`command: ${command}\n`);
}

/** Prints rows of cells in columns; the first column to the left, the others to the right. */
export function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    );
  }
}
