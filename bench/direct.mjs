/**
 * Direct connections between tabs, measured in headless Chromium on this machine, beside a bare RTCDataChannel and y-webrtc in the
 * same run: `npm run bench:direct`; `-- --write` keeps what was printed as `docs/direct.md`. Needs `npm run build` before.
 *
 * Ends with status 1 when a bar is not reached.
 */

import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { main } from '../scripts/console.mjs';
import { ROOT } from '../scripts/paths.mjs';
import { barTable, number } from './bars.mjs';
import { bulk } from './direct/bulk.mjs';
import { crowd } from './direct/crowd.mjs';
import { echo } from './direct/echo.mjs';
import { handover } from './direct/handover.mjs';
import { opening } from './direct/opening.mjs';
import { World } from './direct/world.mjs';
import { machine, median } from './measure.mjs';

const RUNS = 50;
const ROUNDS = 500;
/** How often the small writes are measured: a 99th percentile of one run is the luck of five of its writes. */
const ECHOES = 5;
const MEGABYTES = 50;
const TABS = 12;
const HANDOVERS = 10;
/** How many members a tab keeps, those who dialled it included. */
const MEMBERS_MAX = 12;

await main(async (args) => {
  const [load] = loadavg();
  const world = await World.open();
  try {
    const version = world.browser.version();
    const progress = (what) => console.error(`  … ${what}`);
    progress(`opening a tab, ${RUNS} times`);
    const opened = await opening(world, RUNS);
    progress(`${ROUNDS} small writes, ${ECHOES} times`);
    const echoes = [];
    for (let n = 0; n < ECHOES; n += 1) echoes.push(await echo(world, ROUNDS));
    progress(`${HANDOVERS} times from circuit to direct`);
    const handedOver = await handover(world, HANDOVERS);
    progress(`${MEGABYTES} MB`);
    const bulked = await bulk(world, MEGABYTES);
    progress(`${TABS} tabs`);
    const crowded = await crowd(world, TABS);
    const { text, short } = report({ opened, echoes, handedOver, bulked, crowded, version, load, args });
    console.log(text);
    if (args.includes('--write')) writeFileSync(join(ROOT, 'docs', 'direct.md'), text);
    return short > 0 ? 1 : 0;
  } finally {
    await world.close();
  }
});

function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

function report({ opened, echoes, handedOver, bulked, crowded, version, load, args }) {
  const direct = opened.map((reached) => reached.direct);
  const ratio = bulked.bareMs / bulked.storeMs;
  const longest = Math.max(0, ...Object.values(bulked.tasks).flat());
  const bars = [
    ['from opening the page to a direct connection, median ms', 700, median(direct)],
    ['the same, 95th percentile, ms', 1_500, quantile(direct, 0.95)],
    [
      "a small write in memory, one way, median over that of y-webrtc's observer",
      1,
      median(echoes.map(({ store, rival }) => median(store) / median(rival))),
    ],
    [
      'a small write in memory, one way, 99th percentile over that of a bare channel',
      3,
      median(echoes.map(({ store, bare }) => quantile(store, 0.99) / quantile(bare, 0.99))),
    ],
    [`a write while the path changes, slowest of ${handedOver.length} times, ms`, 1_000, Math.max(...handedOver)],
    [`a bare channel's time for ${MEGABYTES} MB over the store's, at least`, 0.5, ratio, 'at least'],
    ['longest task of either page meanwhile, ms', 50, longest],
    [`a write reaches all of ${TABS} tabs, slowest, ms`, 1_000, Math.max(...crowded.spread)],
    ['connections of a tab, most', MEMBERS_MAX, Math.max(...crowded.connections)],
  ];
  const { table, short } = barTable(bars);
  const stages = ['open', 'relay', 'peer', 'direct'].map((stage) => {
    const times = opened.map((reached) => reached[stage]);
    const cells = [0, 0.25, 0.5, 0.75, 0.95, 1].map((share) => number(quantile(times, share)));
    return `| ${stage} | ${cells.join(' | ')} |`;
  });
  const ways = Object.entries({
    'this store, in memory': 'store',
    'this store, kept on the disk': 'kept',
    'Yjs with y-webrtc': 'rival',
    'a bare data channel': 'bare',
  }).map(([name, side]) => {
    const times = echoes.flatMap((echoed) => echoed[side]);
    const cells = [0.5, 0.95, 0.99].map((share) => number(quantile(times, share)));
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  const text = `# Direct connections, measured

Tabs in contexts of their own of one headless Chromium ${version}, relay and page on the same machine, everything as it ships.

* machine: ${machine()}; load ${load.toFixed(2)} when it began
* command: \`npm run bench:direct${args.length > 0 ? ` -- ${args.join(' ')}` : ''}\`, after \`npm run build\`

${table}

## From opening the page to a direct connection

Milliseconds since the navigation began, script and wasm included, of ${opened.length} tabs that joined one that was there; none failed.
*Open*: the store can be used. *Relay*: others can find it. *Peer*: the first data is exchanged, through the relay. *Direct*: without.

| | least | quarter | half | three quarters | 95 % | most |
|---|---:|---:|---:|---:|---:|---:|
${stages.join('\n')}

## A small write, one way

Half the round trip, in ms, of a write that is answered by a write; ${ROUNDS} of them, one after the other, ${echoes.length} times. The bars
above are of the median of these times, and of stores in memory, as y-webrtc keeps nothing. What is kept is written
to the disk by both sides as well, at the same time.

| | median | 95 % | 99 % |
|---|---:|---:|---:|
${ways.join('\n')}

## ${MEGABYTES} MB to an empty tab

From the direct connection until both sides know that they hold the same: ${number(bulked.storeMs)} ms, ${number(bulked.bytes / bulked.storeMs / 1_000)} MB/s. The
bare channel took ${number(bulked.bareMs)} ms, ${number(bulked.bytes / bulked.bareMs / 1_000)} MB/s. Tasks longer than 50 ms: ${bulked.tasks.sender.length} where it was, ${bulked.tasks.receiver.length} where it came.
`;
  return { text, short };
}
