/**
 * The engine's figures beside the bars that it has to reach, and beside Yjs and Loro, in one run: `npm run bench`; `-- --long` adds
 * every case of a store of a million keys, `-- --write` keeps what was printed as `core/benches/RESULTS.md`.
 *
 * Rust measures the engine and writes the workload, `others.mjs` gives the same to the others, `engine-report.mjs` says what
 * came of it. Ends with status 1 when a bar is not reached.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, Failure, main, run } from '../scripts/console.mjs';
import { ROOT, TARGET } from '../scripts/paths.mjs';
import { report } from './engine-report.mjs';
import { machine } from './measure.mjs';

const RESULTS = join(ROOT, 'core', 'benches', 'RESULTS.md');
/** How long another store may take to join two that were written without knowing of each other, three times at most. */
const TOGETHER_MS = 60_000;
/** The rates that are reported, as `rates.rs` names them. */
const RATES = {
  put: ['new', 'overwrite'],
  membership: ['hash', 'seal'],
  get: ['present'],
  scan: ['range', 'prefix', 'all'],
  gossip: ['one write each', 'a hundred writes each'],
  session: ['0 changes', '10 changes', '1000 changes', '10000 changes'],
};

await main(async (args) => {
  const unknown = args.find((arg) => arg !== '--long' && arg !== '--write');
  if (unknown !== undefined) throw new Failure(`'${unknown}' means nothing here`, 'there are --long and --write');
  const [load] = loadavg();
  const folder = mkdtempSync(join(tmpdir(), 'gossipstore-bench-'));
  try {
    const { text, short } = report({
      machine: `${machine()}; ${(await ask('rustc', ['--version'])) ?? 'rustc unknown'}`,
      load,
      command: ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' '),
      ...(await measure(folder, args.includes('--long'))),
    });
    console.log(`\n${text}`);
    if (args.includes('--write')) writeFileSync(RESULTS, text);
    if (short > 0) console.error(`${short} bar(s) not reached`);
    return short > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function measure(folder, long) {
  const cargo = (bench, ...args) =>
    run(bench, 'cargo', ['bench', '--locked', '-p', 'gossipstore-core', '--bench', bench, '--', ...args]);
  const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  await cargo('rates');
  await cargo('memory', '--out', folder);
  await cargo('figures', '--out', folder, ...(long ? ['--long'] : []));
  return {
    rates: rates(),
    memory: read('memory.json'),
    figures: read('figures.json'),
    others: await others(folder),
  };
}

/** The median nanoseconds that criterion found for each rate, and how many things were done in them. */
function rates() {
  return Object.entries(RATES).flatMap(([group, names]) =>
    names.map((name) => {
      const of = (file) => JSON.parse(readFileSync(join(TARGET, 'criterion', group, name, 'new', file), 'utf8'));
      return {
        group,
        name,
        nanoseconds: of('estimates.json').median.point_estimate,
        count: of('benchmark.json').throughput?.Elements,
      };
    }),
  );
}

/** What Yjs and Loro make of the same workload; `undefined` where it took too long. */
async function others(folder) {
  const script = join(ROOT, 'bench', 'others.mjs');
  const ofScript = async (label, args, options) => {
    const { code, output, timedOut } = await run(label, process.execPath, [script, ...args, folder], options);
    if (timedOut) return undefined;
    if (code !== 0) throw new Failure(`${label} failed:\n${output}`);
    return JSON.parse(output);
  };
  const together = (name) =>
    ofScript(`${name}, written at once`, ['together', name], { mayFail: true, limitMs: TOGETHER_MS });
  return {
    ...(await ofScript('Yjs and Loro', ['sessions'])),
    together: { yjs: await together('yjs'), loro: await together('loro') },
  };
}
