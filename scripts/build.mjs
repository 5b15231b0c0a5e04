// Builds what a release consists of: the npm package (wasm/dist), the relay (target/release), the demo (web-demo/dist).
// `--dev` builds all three without optimising for size: seconds instead of minutes after a change, the same behaviour.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { dim, duration, green, heading, isMain, kilobytes, main, run } from './console.mjs';
import { DEMO_DIST, INTEROP_DIST, npmBin, PACKAGE_DIST, ROOT, relayBinary, TARGET, TOOLS_BIN } from './paths.mjs';
import { setup } from './setup.mjs';
import { fingerprint, unlessBuilt } from './stamp.mjs';

const RUST_SOURCES = ['Cargo.toml', 'Cargo.lock', 'core', 'net', 'webrtc'];
const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE'];

const PROFILES = ['release', 'dev'];

/**
 * Builds what was not built from these sources already.
 * @param {{ profile?: 'release' | 'dev', either?: boolean, package?: boolean, demo?: boolean, relay?: false | 'release' | 'dev',
 * interop?: boolean }} [options] `either`: a package that stands in the other profile will do, as its types are the same. The
 * demo, the types that `lint` checks and most tests stand on the package. `interop`: the peers of the tests against js-libp2p
 */
export async function build({
  profile = 'release',
  either = false,
  package: wanted = true,
  demo = true,
  relay = profile,
  interop = false,
} = {}) {
  heading(profile === 'dev' ? 'Building (not optimised for size)' : 'Building');
  const prints = [profile, ...(either ? PROFILES : [])].map((name) =>
    fingerprint([...RUST_SOURCES, ...LICENCES, 'wasm', 'package-lock.json'], name),
  );
  const unchanged = (label) => console.log(`  ${green('✓')} ${label} ${dim('unchanged')}`);

  if (wanted) {
    const packageBuilt = await unlessBuilt('package', prints, PACKAGE_DIST, () =>
      run(profile === 'dev' ? 'npm package' : 'npm package (the first time 5 to 10 minutes)', process.execPath, [
        join('wasm', 'build.mjs'),
        ...(profile === 'dev' ? ['--dev'] : []),
      ]),
    );
    if (!packageBuilt) unchanged('npm package');
  }

  if (relay !== false) {
    // Cargo itself knows best whether there is something to do.
    // For tests the whole workspace is built as its tests are: the relay alone would have its libraries built anew, with
    // fewer of their features.
    const args =
      relay === 'dev' ? ['test', '--workspace', '--no-run'] : ['build', '--release', '-p', 'gossipstore-relay'];
    await run('relay', 'cargo', [...args, '--locked']);
  }

  if (demo) {
    const print = fingerprint(['web-demo', 'tsconfig.base.json', 'package-lock.json'], prints[0]);
    const demoBuilt = await unlessBuilt('demo', [print], DEMO_DIST, () =>
      run('demo', npmBin('vite'), ['build', '--logLevel', 'warn'], { cwd: join(ROOT, 'web-demo') }),
    );
    if (!demoBuilt) unchanged('demo');
  }

  if (interop) {
    const print = fingerprint([...RUST_SOURCES, 'interop', 'tsconfig.base.json', 'package-lock.json']);
    if (!(await unlessBuilt('interop', [print], INTEROP_DIST, buildInterop))) unchanged('peers for interop');
  }
}

/** Both peers in one page. The one in Rust is compiled as the tests in the browser are, so that they share their libraries. */
async function buildInterop() {
  const crate = ['--package', 'gossipstore-interop', '--target', 'wasm32-unknown-unknown'];
  await run('peer in Rust', 'cargo', ['build', '--locked', ...crate]);
  // First, as it empties the folder.
  await run('page of the peers', npmBin('vite'), ['build', '--logLevel', 'warn'], { cwd: join(ROOT, 'interop') });
  await run('bindings of the peer', join(TOOLS_BIN, 'wasm-bindgen'), [
    join(TARGET, 'wasm32-unknown-unknown', 'debug', 'gossipstore_interop.wasm'),
    ...['--out-dir', join(INTEROP_DIST, 'rust'), '--out-name', 'interop', '--target', 'web', '--no-typescript'],
  ]);
}

/** All files below a folder, with their sizes. */
function files(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .map((path) => ({ path, bytes: statSync(path).size }));
}

/** What was built and how large it is; for the wasm also as a visitor downloads it. */
function summary(profile) {
  heading('Built');
  const line = (name, path, size) => console.log(`  ${name.padEnd(12)} ${relative(ROOT, path).padEnd(36)} ${size}`);
  const total = (folder) => kilobytes(files(folder).reduce((sum, file) => sum + file.bytes, 0));
  line('npm package', PACKAGE_DIST, total(PACKAGE_DIST));
  for (const { path, bytes } of files(PACKAGE_DIST).filter((file) => file.path.endsWith('.wasm'))) {
    const raw = readFileSync(path);
    const brotli = brotliCompressSync(raw, {
      params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
    });
    line('  wasm', path, `${kilobytes(bytes)} raw, ${kilobytes(brotli.length)} brotli`);
  }
  const relay = relayBinary(profile);
  if (existsSync(relay)) line('relay', relay, kilobytes(statSync(relay).size));
  line('demo', DEMO_DIST, total(DEMO_DIST));
}

if (isMain(import.meta.url)) {
  await main(async (args) => {
    const began = Date.now();
    const profile = args.includes('--dev') ? 'dev' : 'release';
    await setup({ tests: false });
    await build({ profile });
    summary(profile);
    console.log(dim(`\n${duration(Date.now() - began)}`));
  });
}
