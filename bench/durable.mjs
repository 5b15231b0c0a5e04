/**
 * Durable storage in headless Chromium on this machine, beside Yjs with y-indexeddb, PouchDB, idb-keyval and IndexedDB itself in the
 * same run: `npm run bench:durable`; `-- --write` keeps what was printed as `docs/durable.md`. Needs `npm run build` before, and some
 * twenty minutes.
 *
 * Ends with status 1 when a bar is not reached. A store that says it is in memory is not measured, except with `-- --memory`, which is
 * for trying the bench itself.
 */

import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { Failure, main } from '../scripts/console.mjs';
import { ROOT } from '../scripts/paths.mjs';
import { barTable, number } from './bars.mjs';
import { KEY_BYTES, VALUE_BYTES } from './durable/entries.mjs';
import { filling, overwriting } from './durable/filling.mjs';
import { opening } from './durable/opening.mjs';
import { rates } from './durable/rates.mjs';
import { World } from './durable/world.mjs';
import { machine, median, ratio } from './measure.mjs';

const ENTRIES = 100_000;
const FILLS = 5;
const OPENINGS = 9;
const RATES = 9;
const IN_FLIGHT = 64;
const OVERWRITES = 10;
/** What an entry may take beside its key and its value before the bars' factors. */
const OVERHEAD_BYTES = 16;

await main(async (args) => {
  const unknown = args.find((arg) => !['--write', '--memory'].includes(arg));
  if (unknown !== undefined) throw new Failure(`there is no option ${unknown}`, 'there are --write and --memory');
  const memory = args.includes('--memory');
  if (memory && args.includes('--write')) {
    throw new Failure('what was measured in memory is not to be kept', 'leave out --write, or --memory');
  }
  const [load] = loadavg();
  const world = await World.open();
  try {
    const progress = (what) => console.error(`  … ${what}`);
    const { version, kinds } = await look(world, memory);
    progress(`${ENTRIES} entries into an empty profile, ${FILLS} times`);
    const { times, stored } = await filling(world, FILLS, ENTRIES);
    progress(`opening what was stored, ${OPENINGS} times`);
    const opened = await opening(world, stored, OPENINGS, ENTRIES);
    progress(`single writes, ${RATES} times`);
    const rated = await rates(world, RATES, IN_FLIGHT);
    progress(`all entries overwritten, ${OVERWRITES} times`);
    const overwritten = await overwriting(world, stored, OVERWRITES, ENTRIES);
    const { text, short } = report({ world, times, stored, opened, rated, overwritten, version, kinds, load, args });
    console.log(text);
    if (args.includes('--write')) writeFileSync(join(ROOT, 'docs', 'durable.md'), text);
    return short > 0 ? 1 : 0;
  } finally {
    await world.close();
  }
});

/** Opens every contender once, so that what is wrong is known before minutes have passed; returns the browser's version and where each has its data. */
async function look(world, memory) {
  let version;
  const kinds = {};
  for (const contender of world.contenders) {
    const visit = await world.profile().visit(contender);
    version = visit.version;
    kinds[contender.name] = visit.opened.kind;
    await visit.leave();
    if (visit.opened.kind !== 'indexeddb' && !memory) {
      throw new Failure(
        `${contender.title} keeps its data in ${visit.opened.kind}: what is measured would not be durable`,
        'build a package that stores; to try the bench itself, add -- --memory',
      );
    }
  }
  return { version, kinds };
}

function report({ world, times, stored, opened, rated, overwritten, version, kinds, load, args }) {
  const openedMs = (name) => opened[name].map(({ ms }) => ms);
  const longest = (name) => opened[name].map(({ longestTask }) => longestTask);
  const above = openedMs('gossipstore').map((ms, run) => ms - openedMs('raw-indexeddb')[run]);
  const plainBytes = ENTRIES * (KEY_BYTES + VALUE_BYTES + OVERHEAD_BYTES);
  const bars = [
    ['open to first read, over that of y-indexeddb', 0.25, ratio(openedMs('gossipstore'), openedMs('y-indexeddb'))],
    ["open to first read, above IndexedDB's, ms", 100, median(above)],
    ['longest task while opening and 2 s after, ms', 50, median(longest('gossipstore'))],
    [
      "durable writes one at a time, over IndexedDB's, at least",
      1,
      ratio(rated.single.gossipstore, rated.single['raw-indexeddb']),
      'at least',
    ],
    [
      `durable writes with ${IN_FLIGHT} in flight, over IndexedDB's one at a time, at least`,
      10,
      ratio(rated.many.gossipstore, rated.single['raw-indexeddb']),
      'at least',
    ],
    [
      "keys a second of `setMany`, over y-indexeddb's, at least",
      1,
      ratio(times['y-indexeddb'], times.gossipstore),
      'at least',
    ],
    [`bytes of records, over key + value + ${OVERHEAD_BYTES}`, 1.2, stored.gossipstore.bytes.records / plainBytes],
    [`the same after all was overwritten ${OVERWRITES} times`, 1.5, overwritten.gossipstore.records / plainBytes],
  ];
  const { table: reached, short } = barTable(bars);
  const megabytes = (bytes) => (bytes / 1_000_000).toFixed(1);
  const table = (cells) =>
    world.contenders.map((contender) => `| ${[contender.title, ...cells(contender)].join(' | ')} |`).join('\n');
  const spread = (numbers) => [median(numbers), Math.min(...numbers), Math.max(...numbers)].map(number);
  const bytes = (measured) =>
    measured ? [measured.records, measured.estimate, measured.files].map(megabytes) : ['–', '–', '–'];
  const text = `# Durable storage, measured

${ENTRIES.toLocaleString('en')} entries with keys of ${KEY_BYTES} bytes and values of ${VALUE_BYTES} bytes as JSON, in headless Chromium ${version}; every contender has an
origin and a profile of its own, on disk, and its script is bundled and loaded anew for each page.
${kinds.gossipstore === 'memory' ? '\n**This store was in memory: its figures say nothing of durable storage.**\n' : ''}
* machine: ${machine()}; load ${load.toFixed(2)} when it began
* command: \`npm run bench:durable${args.length > 0 ? ` -- ${args.join(' ')}` : ''}\`, after \`npm run build\`

${reached}

Of runs that follow each other, each is compared with its neighbour: a bar's ratio or difference is the median of the runs'.

## From opening the page to the first read

Milliseconds from the navigation, in a browser that was just started, to the value of one key: ${OPENINGS} runs. The system may still hold
the files in memory. *Longest task*: of the page's thread, until 2 s after the read; 0 is none above 50 ms. *Memory*: after a
collection, in MB.

| | median | least | most | longest task, median | longest task, most | JavaScript | wasm |
|---|---:|---:|---:|---:|---:|---:|---:|
${table(({ name }) => [
  ...spread(openedMs(name)),
  number(median(longest(name))),
  number(Math.max(...longest(name))),
  megabytes(median(opened[name].map(({ memory }) => memory.javascript))),
  megabytes(median(opened[name].map(({ memory }) => memory.wasm))),
])}

## Single writes

New keys stored a second: ${RATES} runs of a second each. *Strict*: done when the disk has it. *Relaxed*: done when the system promises
to write it, which is Chromium's way when a library does not ask.

| | durability | one at a time, median | least | most | ${IN_FLIGHT} in flight, median | least | most |
|---|---|---:|---:|---:|---:|---:|---:|
${table(({ name, durability }) => [
  kinds[name] === 'memory' ? 'none' : durability,
  ...spread(rated.single[name]),
  ...spread(rated.many[name]),
])}

## All entries at once

Keys stored a second, into an empty profile: \`setMany\`, one transaction of a document, one of IndexedDB, \`bulkDocs\`.

| | runs | median | least | most |
|---|---:|---:|---:|---:|
${table(({ name }) => [times[name].length, ...spread(times[name].map((ms) => (ENTRIES * 1_000) / ms))])}

## On disk

MB; ${megabytes(plainBytes)} would be key + value + ${OVERHEAD_BYTES} each. *Records*: the sum of what the database's records hold, keys and values, once it stays
the same; objects, which are no bytes, are counted as JSON, and indexes are not counted. *Estimate*: what the browser says is used.
*Files*: what is in its folder, which it tidies up when it likes.

| | records | estimate | files | overwritten ${OVERWRITES} times: records | estimate | files |
|---|---:|---:|---:|---:|---:|---:|
${table(({ name }) => [...bytes(stored[name].bytes), ...bytes(overwritten[name])])}
`;
  return { text, short };
}
