// Sets up, builds, runs every kind of test and says how many of each ran. `npm test -- rust facade` runs only those kinds;
// `--dev` tests packages that were not optimised for size, which build much faster after a change.
//
// The last line is always `N passed, N failed`, and a kind in which nothing ran has failed: silence proves nothing.
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { build } from './build.mjs';
import { bold, duration, Failure, green, heading, isMain, main, red, run } from './console.mjs';
import { libtestCounts, nodeTestCounts, playwrightCounts, sum, vitestCounts } from './counts.mjs';
import { fuzzBriefly } from './fuzz.mjs';
import { childEnv, findChromedriver, findFirefox, npmBin, ROOT, relayBinary, TOOLS_BIN } from './paths.mjs';
import { setup } from './setup.mjs';
import { RUST_TARGETS } from './versions.mjs';

/** How long the tests of one kind may take: many times what they do on a busy machine, so that only what hangs is ended. */
const LIMIT_MS = 20 * 60_000;
/** The same where everything is compiled first. */
const RUST_LIMIT_MS = 40 * 60_000;

/**
 * The kinds, in the order they run: what is quick to fail comes first.
 * `needs`: which builds must stand. `run`: resolves to how many passed and failed.
 */
const KINDS = {
  scripts: { title: 'scripts', run: scripts },
  targets: { title: 'core without an OS', run: targets },
  rust: { title: 'Rust', run: rust },
  fuzz: { title: 'fuzzing', run: fuzzBriefly },
  facade: { title: 'facade', needs: { demo: false, relay: false }, run: () => vitest('wasm') },
  demo: { title: 'demo', needs: { demo: false, relay: false }, run: () => vitest('web-demo') },
  wasm: { title: 'wasm in browsers', run: wasmInBrowsers },
  interop: {
    title: 'with js-libp2p',
    needs: { package: false, demo: false, relay: 'dev', interop: true },
    run: () => playwright('interop'),
  },
  e2e: { title: 'e2e in Chromium', needs: { demo: true, relay: 'dev' }, run: () => playwright('e2e', 'chromium') },
  firefox: {
    title: 'e2e in Firefox',
    needs: { demo: true, relay: 'dev' },
    // By itself, and beside Chromium.
    run: () => playwright('e2e', 'firefox', 'chromium-first', 'firefox-first'),
  },
};

/** Runs a program with its output shown; its own counts decide, and a program that failed without any counts as one failure. */
async function counted(label, command, args, options, count) {
  const settings = { show: true, mayFail: true, limitMs: LIMIT_MS, ...options };
  const { code, output, timedOut } = await run(label, command, args, settings);
  const counts = count(output);
  if (timedOut) return { ...counts, failed: counts.failed + 1, why: `  (ended after ${duration(settings.limitMs)})` };
  if (code !== 0 && counts.failed === 0) return { ...counts, failed: 1 };
  return counts;
}

function scripts() {
  const files = readdirSync(join(ROOT, 'scripts'))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => join('scripts', name));
  return counted('scripts', process.execPath, ['--test', '--test-reporter=spec', ...files], {}, nodeTestCounts);
}

/** core must not need an operating system: it builds for a target that has none, and for the browser. */
async function targets() {
  const counts = [];
  for (const target of RUST_TARGETS) {
    const { code } = await run(
      `core for ${target}`,
      'cargo',
      ['build', '--locked', '-p', 'gossipstore-core', '--target', target],
      { show: true, mayFail: true, limitMs: RUST_LIMIT_MS },
    );
    counts.push(code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
  }
  return sum(counts);
}

function rust() {
  const args = ['test', '--locked', '--workspace', '--no-fail-fast'];
  const options = { env: { CARGO_TERM_COLOR: 'never' }, limitMs: RUST_LIMIT_MS };
  return counted('Rust', 'cargo', args, options, libtestCounts);
}

/** The bindings, and the transport between two tabs, in each browser. */
function wasmInBrowsers() {
  return withFolder(async (folder) => {
    // geckodriver can be told of a Firefox by the tests' capabilities, which are a file, or by PATH.
    symlinkSync(findFirefox(), join(folder, 'firefox'));
    const env = {
      CARGO_TERM_COLOR: 'never',
      PATH: [folder, childEnv().PATH].join(delimiter),
      // The runner ends a whole suite after 20 seconds else.
      WASM_BINDGEN_TEST_TIMEOUT: '300',
    };
    const browsers = [
      ['Chromium', '--chrome', '--chromedriver', findChromedriver()],
      ['Firefox', '--firefox', '--geckodriver', join(TOOLS_BIN, 'geckodriver')],
    ];
    const counts = [];
    for (const crate of ['wasm', 'webrtc']) {
      for (const [browser, ...driver] of browsers) {
        const args = ['test', '--headless', ...driver, crate];
        const label = `${crate} in ${browser}`;
        const count = (output) => named(label, libtestCounts(output));
        counts.push(await counted(label, join(TOOLS_BIN, 'wasm-pack'), args, { env }, count));
      }
    }
    return sum(counts);
  });
}

/** With failures that say of which of several runs they are. */
function named(label, { failures, ...counts }) {
  return { ...counts, failures: failures.map(({ test, why }) => ({ test: `${label}: ${test}`, why })) };
}

async function vitest(folder) {
  return withReport((report) =>
    counted(
      folder,
      npmBin('vitest'),
      ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
      { cwd: join(ROOT, folder) },
      () => vitestCounts(report),
    ),
  );
}

/** With the relay that the Rust tests have built already: the optimised one takes minutes and behaves the same. */
async function playwright(folder, ...projects) {
  return withReport((report) => {
    const env = { PLAYWRIGHT_JSON_OUTPUT_FILE: report, GOSSIPSTORE_RELAY: relayBinary('dev') };
    const args = ['test', '--reporter=list,json', ...projects.map((name) => `--project=${name}`)];
    return counted(folder, npmBin('playwright'), args, { cwd: join(ROOT, folder), env }, () =>
      playwrightCounts(report),
    );
  });
}

function withReport(use) {
  return withFolder((folder) => use(join(folder, 'report.json')));
}

/** Lends a folder that is gone afterwards. */
async function withFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'gossipstore-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What failed, once more: whoever sees only the end of a long log sees that as well. */
function reportFailures(results) {
  const failing = results.filter(({ failed }) => failed > 0);
  if (failing.length === 0) return;
  heading('What failed');
  for (const { title, failed, failures = [], why } of failing) {
    const unnamed = failed - failures.length;
    if (unnamed > 0)
      console.log(`  ${red('✗')} ${title}: ${unnamed} of which nothing more is known${why}; see above\n`);
    for (const { test, why } of failures)
      console.log(`  ${red('✗')} ${title}: ${test}\n${why.replace(/^/gm, '      ')}\n`);
  }
}

/** Prints the table; the last line is for machines and people alike. Returns the exit code. */
function report(results) {
  const total = sum(results);
  reportFailures(results);
  heading('Tests');
  for (const { title, passed, failed, why } of results) {
    const mark = failed === 0 ? green('✓') : red('✗');
    console.log(
      `  ${mark} ${title.padEnd(20)} ${String(passed).padStart(5)} passed ${String(failed).padStart(4)} failed${why}`,
    );
  }
  console.log(bold(`\n${results.map(({ title, passed }) => `${title} ${passed} passed`).join(', ')}`));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

function chosenKinds(args) {
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = names.find((name) => !(name in KINDS));
  if (unknown !== undefined) {
    throw new Failure(`there is no kind of test called '${unknown}'`, `choose from: ${Object.keys(KINDS).join(', ')}`);
  }
  return Object.keys(KINDS).filter((name) => names.length === 0 || names.includes(name));
}

async function test(args) {
  const profile = args.includes('--dev') ? 'dev' : 'release';
  const kinds = chosenKinds(args);
  await setup({ tests: true });

  const results = [];
  let buildFailure;
  for (const name of kinds) {
    const kind = KINDS[name];
    heading(kind.title);
    let counts;
    let why = '';
    try {
      if (kind.needs !== undefined) {
        if (buildFailure !== undefined) throw buildFailure;
        await build({ profile, ...kind.needs }).catch((error) => {
          buildFailure = error;
          throw error;
        });
      }
      counts = await kind.run();
      if (counts.passed + counts.failed === 0) {
        counts = { passed: 0, failed: 1 };
        why = '  (no test ran)';
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(`${red('✗')} ${error.message}`);
      counts = { passed: 0, failed: 1 };
      why = '  (could not run)';
    }
    results.push({ title: kind.title, why, ...counts });
  }
  return report(results);
}

if (isMain(import.meta.url)) {
  await main(async (args) => {
    try {
      return await test(args);
    } catch (error) {
      console.error(error instanceof Failure ? `\n${red('✗')} ${error.message}` : error);
      console.log('0 passed, 1 failed');
      return 1;
    }
  });
}
