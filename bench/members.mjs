/**
 * What a member costs that is new: how long a fresh replica takes to take in a store of 100,000 entries by 20 authors, in headless
 * Chromium, from the tab beside it: `npm run bench:members`; `-- --write` keeps what was printed as `docs/members.md`. Needs `npm run build`
 * before.
 *
 * Ends with status 1 when a bar is not reached.
 */

import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { main } from '../scripts/console.mjs';
import { ROOT } from '../scripts/paths.mjs';
import { barTable } from './bars.mjs';
import { World } from './direct/world.mjs';
import { machine, median } from './measure.mjs';

const ENTRIES = 100_000;
const AUTHORS = 20;
const RUNS = 30;

/** How long a fresh replica may take, in ms, from the moment in which the other is linked. */
const BAR_MS = 2_000;

/** Fills a tab's store with entries of so many authors, each of whom has written them in a store of its own. */
function fill(tab) {
  return tab.evaluate(
    async ({ entries, authors }) => {
      const { GossipStore } = await import('/index.js');
      const { name } = window.store;
      await window.store.close();
      for (let author = 0; author < authors; author += 1) {
        const own = await GossipStore.open(`author ${author}`, { storage: 'memory', relays: [] });
        const count = entries / authors;
        const written = Array.from({ length: count }, (_, n) => [
          `key ${String(author * count + n).padStart(8, '0')}`,
          `${'value of about fifty bytes, as many of them are '}${n % 10}`,
        ]);
        await own.setMany(written);
        const file = await own.export();
        await own.close();
        const merged = await GossipStore.import(name, file);
        await merged.close();
      }
      window.store = await GossipStore.open(name);
    },
    { entries: ENTRIES, authors: AUTHORS },
  );
}

await main(async (args) => {
  const [load] = loadavg();
  const world = await World.open();
  try {
    const progress = (what) => console.error(`  … ${what}`);
    progress(`${ENTRIES} entries by ${AUTHORS} authors`);
    const first = await world.tab('members');
    await fill(first);
    const runs = [];
    for (let run = 0; run < RUNS; run += 1) {
      progress(`a fresh replica, ${run + 1} of ${RUNS}`);
      const tab = await world.tab('members');
      await tab.waitForFunction((entries) => window.store.size === entries, ENTRIES, { polling: 5, timeout: 120_000 });
      runs.push(await tab.evaluate(() => ({ ...window.reached, whole: performance.now(), tasks: window.longTasks })));
      await tab.context().close();
    }
    const { text, short } = report({ runs, version: world.browser.version(), load, args });
    console.log(text);
    if (args.includes('--write')) writeFileSync(join(ROOT, 'docs', 'members.md'), text);
    return short > 0 ? 1 : 0;
  } finally {
    await world.close();
  }
});

function report({ runs, version, load, args }) {
  const taken = runs.map(({ peer, whole }) => whole - peer);
  const { table, short } = barTable([
    ['from the link to all entries, median', BAR_MS, median(taken)],
    ['from the link to all entries, slowest', BAR_MS, Math.max(...taken)],
  ]);
  const number = (value) => value.toFixed(0);
  const row = (what, times) =>
    `| ${what} | ${number(median(times))} | ${number(Math.min(...times))} | ${number(Math.max(...times))} |`;
  const text = `# A new member, measured

A fresh replica in a tab of its own takes in ${ENTRIES.toLocaleString('en')} entries (keys of 12 bytes, values of 48 characters) that
${AUTHORS} authors have written, from one other tab of the same headless Chromium ${version}, by way of a direct connection or, until that
stands, the relay. ${RUNS} runs; milliseconds.

* machine: ${machine()}; load ${load.toFixed(2)} when it began
* command: \`npm run bench:members${args.length > 0 ? ` -- ${args.join(' ')}` : ''}\`, after \`npm run build\`

${table}

| | median | least | most |
|---|---:|---:|---:|
${row(
  'from opening the page to the link',
  runs.map(({ peer }) => peer),
)}
${row('from the link to all entries', taken)}
${row(
  'longest task of the page',
  runs.map(({ tasks }) => Math.max(0, ...tasks.map(({ duration }) => duration))),
)}
`;
  return { text, short };
}
