// Makes a fresh machine ready, and finds within a second that a ready one is. Needs only rustup's Rust and Node; what it
// installs is pinned to the digit (versions.mjs) and, when it takes minutes to compile, kept outside the checkout (paths.mjs).
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ask, dim, duration, Failure, green, heading, isMain, main, run } from './console.mjs';
import { findChromedriver, findChromium, findFirefox, ROOT, TOOLS, TOOLS_BIN } from './paths.mjs';
import { CARGO_DENY, GECKODRIVER, RUST_COMPONENTS, RUST_TARGETS, WASM_BINDGEN, WASM_PACK } from './versions.mjs';

const NODE_MIN = [20, 19];

/** Compiling a tool downloads its crates; a line that drops is the usual reason for a failure, and what was compiled is kept. */
const RETRY = 'check the network and run the same command again; it continues where it stopped';

/**
 * Installs what is missing of what the caller needs.
 * @param {{ tests?: boolean, fuzz?: boolean, lint?: boolean }} [options] `tests`: also what only tests need (Chromium and Firefox with
 * their drivers, wasm-pack); `fuzz`: also what the fuzz targets are compiled with; `lint`: also what only that needs
 */
export async function setup({ tests = true, fuzz = tests, lint = false } = {}) {
  const began = Date.now();
  heading('Setting up');
  await needNode();
  needMatchingPins();
  // What a person may have to install by hand comes first: nobody should wait for a compiler to be told of it.
  await needLinker();
  if (fuzz) await needCpp();
  if (tests) await needBrowsers();
  await needRust();
  await needCargoTool('wasm-bindgen', 'wasm-bindgen-cli', WASM_BINDGEN);
  if (tests) {
    // These only start others and pass on what they are told, so there is no time to be saved.
    await needCargoTool('wasm-pack', 'wasm-pack', WASM_PACK, { optimised: false });
    await needCargoTool('geckodriver', 'geckodriver', GECKODRIVER, { optimised: false });
  }
  if (lint) await needCargoTool('cargo-deny', 'cargo-deny', CARGO_DENY, { optimised: false });
  await needNpmPackages();
  console.log(`  ${green('✓')} ready ${dim(duration(Date.now() - began))}`);
}

async function needNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  throw new Failure(
    `Node ${process.versions.node} is too old`,
    `install Node ${NODE_MIN.join('.')} or newer, from https://nodejs.org or with your version manager`,
  );
}

/** The tool and the crate must be the same version; this says so before a build fails for a reason that is hard to read. */
function needMatchingPins() {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8');
  const crate = /name = "wasm-bindgen"\r?\nversion = "([^"]+)"/.exec(lock)?.[1];
  if (crate !== undefined && crate !== WASM_BINDGEN) {
    throw new Failure(
      `Cargo.lock holds wasm-bindgen ${crate}, scripts/versions.mjs holds ${WASM_BINDGEN}`,
      'make both the same',
    );
  }
}

/** rustc links with the system's C compiler, and two crates compile C and assembly; rustup installs without it. */
async function needLinker() {
  if ((await ask('cc', ['--version'])) !== undefined) return;
  await aptInstall('a C compiler and linker', ['gcc', 'libc6-dev']);
}

/** libFuzzer is C++. */
async function needCpp() {
  if ((await ask('c++', ['--version'])) !== undefined) return;
  await aptInstall('a C++ compiler', ['g++']);
}

async function needRust() {
  if ((await ask('rustup', ['--version'])) === undefined) {
    throw new Failure('rustup was not found', 'install Rust with the command at https://rustup.rs');
  }
  if ((await ask('cargo', ['--version'])) === undefined) {
    await run('the Rust toolchain', 'rustup', ['default', 'stable'], { remedy: RETRY });
  }
  const [targets, components] = await Promise.all([
    ask('rustup', ['target', 'list', '--installed']),
    ask('rustup', ['component', 'list', '--installed']),
  ]);
  const lacking = (wanted, installed) => {
    const have = (installed ?? '').split('\n');
    return wanted.filter((name) => !have.some((line) => line === name || line.startsWith(`${name}-`)));
  };
  const lackingTargets = lacking(RUST_TARGETS, targets);
  if (lackingTargets.length > 0) {
    await run('Rust targets', 'rustup', ['target', 'add', ...lackingTargets], { remedy: RETRY });
  }
  const lackingComponents = lacking(RUST_COMPONENTS, components);
  if (lackingComponents.length > 0) {
    await run('Rust components', 'rustup', ['component', 'add', ...lackingComponents], { remedy: RETRY });
  }
}

/**
 * A command-line tool from crates.io in exactly this version.
 * @param {string} binary what it is called when installed
 * @param {string} crate what it is called on crates.io
 * @param {string} version
 * @param {{ optimised?: boolean }} [options] `optimised`: false for what is quicker to compile than it would save
 */
async function needCargoTool(binary, crate, version, { optimised = true } = {}) {
  const installed = (await ask(join(TOOLS_BIN, binary), ['--version']))?.split(/\s+/)[1];
  if (installed === version) return;
  // Outside the checkout and not in its target folder: an interrupted build continues, from whichever checkout.
  const buildDirectory = join(TOOLS, 'build');
  const from = installed === undefined ? '' : `, replacing ${installed}`;
  const profile = optimised ? [] : ['--debug'];
  await run(
    `${crate} ${version}${from} (${optimised ? '5 to 15' : '2 to 5'} minutes, once for all checkouts)`,
    'cargo',
    [
      'install',
      '--locked',
      '--force',
      ...profile,
      '--root',
      TOOLS,
      '--target-dir',
      buildDirectory,
      `${crate}@${version}`,
    ],
    { env: { CARGO_PROFILE_DEV_DEBUG: 'false' }, remedy: RETRY },
  );
  rmSync(buildDirectory, { recursive: true, force: true });
}

/** Compares what npm says is in node_modules with the lock file, package by package: truer than any stamp. */
async function needNpmPackages() {
  const read = (path) => {
    try {
      return JSON.parse(readFileSync(join(ROOT, path), 'utf8')).packages ?? {};
    } catch {
      return {};
    }
  };
  const wanted = read('package-lock.json');
  // npm leaves packages of other operating systems out of this one; those are optional.
  const present = read('node_modules/.package-lock.json');
  const missing = Object.entries(wanted).filter(([path, entry]) => {
    if (!path.includes('node_modules/')) return false;
    const here = present[path];
    return here === undefined ? !entry.optional : here.version !== entry.version;
  });
  if (Object.keys(wanted).length > 0 && missing.length === 0) return;
  await run('npm packages', 'npm', ['ci', '--no-audit', '--no-fund'], {
    // The tests drive the system's browsers.
    env: { PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
    remedy: RETRY,
  });
}

async function needBrowsers() {
  const missing = () => [
    ...(findChromium() && findChromedriver() ? [] : ['chromium', 'chromium-driver', 'fonts-liberation']),
    ...(findFirefox() ? [] : ['firefox-esr']),
  ];
  const packages = missing();
  if (packages.length === 0) return;
  await aptInstall('browsers for the tests', packages);
  const lacking = missing();
  if (lacking.length > 0) {
    throw new Failure(
      `${lacking.join(', ')}: installed but not found`,
      'name the programs in the variables GOSSIPSTORE_CHROMIUM, CHROMEDRIVER and GOSSIPSTORE_FIREFOX',
    );
  }
}

/** Installs Debian packages when this is root; otherwise says which command the person has to run. */
async function aptInstall(what, packages) {
  const byHand = `apt-get update && apt-get install -y ${packages.join(' ')}`;
  const hasApt = (await ask('apt-get', ['--version'])) !== undefined;
  if (!hasApt) {
    throw new Failure(`${what} not found`, `install it with your system's package manager (Debian: ${byHand})`);
  }
  if (process.getuid?.() !== 0) {
    throw new Failure(`${what} not found`, `run \`sudo sh -c '${byHand}'\`, then the same command again`);
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('package lists', 'apt-get', ['update'], { env, remedy: RETRY });
  await run(what, 'apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env, remedy: RETRY });
}

if (isMain(import.meta.url)) await main(() => setup());
