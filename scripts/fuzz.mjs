// Fuzzes the core: builds the targets of fuzz/ with the stable toolchain and runs them.
//
// `npm run fuzz -- [target …]` fuzzes each for a minute from where the last run ended; `--long` for ten, `--seconds N` for N. What is found
// worth keeping goes to fuzz/found, what fails to fuzz/artifacts. `--corpus` writes the seeds of fuzz/corpus anew and
// adds to them what fuzz/found reaches beyond them. The tests use the short form: a fixed number of runs from a fixed seed, so that it
// says the same each time.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, Failure, heading, isMain, main, red, run } from './console.mjs';
import { libtestCounts, sum } from './counts.mjs';
import { ROOT, TARGET } from './paths.mjs';

const FUZZ = join(ROOT, 'fuzz');
const MANIFEST = join(FUZZ, 'Cargo.toml');
/** Apart from the rest: instrumented, and a workspace of its own. */
export const FUZZ_TARGET = join(TARGET, 'fuzz');

/** Runs of the short form, by target: about five seconds each. */
const SHORT_RUNS = { batch: 5_000, cache: 150_000, frame: 400_000, membership: 100_000, session: 5_000 };

/** What makes two runs the same: the operands of comparisons, which libFuzzer would use, depend on addresses. */
const SAME_RUNS = ['-seed=1', '-use_cmp=0', '-verbosity=0'];

const SECONDS = 60;
const LONG_SECONDS = 600;

/**
 * What cargo-fuzz tells rustc, as far as stable Rust knows it: count the ways through the code, and hand comparisons to libFuzzer. Without
 * an address sanitizer, which only nightly has; core has no unsafe code.
 */
const RUSTFLAGS = [
  '--cfg fuzzing',
  '-C passes=sancov-module',
  ...[
    '-sanitizer-coverage-level=4',
    '-sanitizer-coverage-inline-8bit-counters',
    '-sanitizer-coverage-pc-table',
    '-sanitizer-coverage-trace-compares',
  ].map((arg) => `-C llvm-args=${arg}`),
  '-C codegen-units=1',
].join(' ');

/** Several times what any input takes. Seen once a second; without a sanitizer, single allocations cannot be watched. */
const LIMITS = ['-rss_limit_mb=256', '-timeout=20'];

/** How long one target's short form may take, and the build before it. */
const LIMIT_MS = 10 * 60_000;

/** The names of all targets. */
export const FUZZ_TARGETS = Object.keys(SHORT_RUNS);

/** Builds the targets; gives the folder they are in. */
async function build() {
  const host = /^host: (.*)$/m.exec((await ask('rustc', ['-vV'])) ?? '')?.[1];
  if (host === undefined)
    throw new Failure('rustc was not found', 'install Rust with the command at https://rustup.rs');
  // A target that is named keeps the flags from build scripts and procedural macros.
  const args = ['build', '--locked', '--release', '--manifest-path', MANIFEST, '--target', host, '--bins'];
  const env = { RUSTFLAGS, CARGO_TARGET_DIR: FUZZ_TARGET };
  await run('fuzz targets', 'cargo', args, { env, limitMs: LIMIT_MS });
  return join(FUZZ_TARGET, host, 'release');
}

/** The folder of this kind for a target, made if it is missing. */
function folder(kind, target) {
  const path = join(FUZZ, kind, target);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Runs libFuzzer on a target; new inputs go to the first of the folders. */
async function fuzz(binaries, target, folders, args, options) {
  const prefix = `-artifact_prefix=${folder('artifacts', target)}/`;
  const all = [...LIMITS, ...args, prefix, ...folders.filter((path) => existsSync(path))];
  return run(`fuzz ${target}`, join(binaries, target), all, { mayFail: true, ...options });
}

/** The short form, for the tests: what is kept is replayed, then each target runs from a fixed seed. */
export async function fuzzBriefly() {
  const env = { CARGO_TARGET_DIR: FUZZ_TARGET, CARGO_TERM_COLOR: 'never' };
  const args = ['test', '--locked', '--no-fail-fast', '--manifest-path', MANIFEST];
  const { code, output } = await run('replay', 'cargo', args, { env, show: true, mayFail: true, limitMs: LIMIT_MS });
  const replayed = libtestCounts(output);
  const counts = [code !== 0 && replayed.failed === 0 ? { ...replayed, failed: 1 } : replayed];
  const binaries = await build();
  for (const target of FUZZ_TARGETS) {
    const found = mkdtempSync(join(tmpdir(), 'gossipstore-'));
    try {
      const folders = [found, join(FUZZ, 'corpus', target), join(FUZZ, 'crashers', target)];
      const { code, output } = await fuzz(binaries, target, folders, [...SAME_RUNS, `-runs=${SHORT_RUNS[target]}`], {
        limitMs: LIMIT_MS,
      });
      if (code === 0) {
        counts.push({ passed: 1, failed: 0 });
      } else {
        console.error(`${output}\n${red('✗')} fuzz ${target}\n${remedy(target)}`);
        counts.push({ passed: 0, failed: 1 });
      }
    } finally {
      rmSync(found, { recursive: true, force: true });
    }
  }
  return sum(counts);
}

function remedy(target) {
  return `  → the input is in fuzz/artifacts/${target}; once understood, keep it as fuzz/crashers/${target}/<its defect>`;
}

/** Writes the seeds, and adds what was found beyond them. */
async function renewCorpus(binaries, targets) {
  const env = { CARGO_TARGET_DIR: FUZZ_TARGET };
  await run('seeds', 'cargo', ['run', '--locked', '--manifest-path', MANIFEST, '--example', 'seeds'], { env });
  for (const target of targets) {
    const folders = [folder('corpus', target), folder('found', target)];
    await fuzz(binaries, target, folders, ['-set_cover_merge=1', '-use_counters=0'], { mayFail: false });
    console.log(`  fuzz/corpus/${target}: ${readdirSync(folders[0]).length} inputs`);
  }
}

function parse(args) {
  const targets = [];
  let seconds = SECONDS;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    if (arg === '--long') seconds = LONG_SECONDS;
    else if (arg === '--seconds') seconds = Number(args[++at]);
    else if (FUZZ_TARGETS.includes(arg)) targets.push(arg);
    else if (arg !== '--corpus') {
      throw new Failure(`there is no fuzz target called '${arg}'`, `choose from: ${FUZZ_TARGETS.join(', ')}`);
    }
  }
  if (!(seconds > 0))
    throw new Failure('--seconds needs a number', 'for example `npm run fuzz -- session --seconds 300`');
  return { targets: targets.length > 0 ? targets : FUZZ_TARGETS, seconds, corpus: args.includes('--corpus') };
}

if (isMain(import.meta.url)) {
  await main(async (args) => {
    const { targets, seconds, corpus } = parse(args);
    heading('Fuzzing');
    const binaries = await build();
    if (corpus) return renewCorpus(binaries, targets);
    const failed = [];
    for (const target of targets) {
      const folders = [folder('found', target), join(FUZZ, 'corpus', target), join(FUZZ, 'crashers', target)];
      const args = [`-max_total_time=${seconds}`, '-print_final_stats=1', '-use_value_profile=1'];
      const { code } = await fuzz(binaries, target, folders, args, { show: true });
      if (code !== 0) failed.push(target);
    }
    if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`, failed.map(remedy).join('\n'));
  });
}
