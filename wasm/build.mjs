// Builds the npm package into wasm/dist, a folder that is complete by itself: `npm pack ./wasm/dist`.
// `--dev` compiles with the dev profile: seconds instead of minutes after a change, three times as large, the same behaviour.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import { build as bundle } from 'esbuild';
import { ask, Failure, isMain, kilobytes, main, run } from '../scripts/console.mjs';
import { npmBin, PACKAGE_DIST, ROOT, TARGET, TOOLS_BIN } from '../scripts/paths.mjs';
import { WASM_BINDGEN } from '../scripts/versions.mjs';

const HERE = join(ROOT, 'wasm');
/** What the compilers make: the modules, the bindings and the wasm that the package is put together from. */
const MODULES = join(HERE, 'modules');
/** Both licences ask that their text goes wherever the code goes. */
const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE'];

async function build(args) {
  const profile = args.includes('--dev') ? 'dev' : 'npm';
  const unknown = args.find((arg) => arg !== '--dev');
  if (unknown !== undefined) throw new Failure(`there is no option ${unknown}`, 'the only one is --dev');
  const wasmBindgen = join(TOOLS_BIN, 'wasm-bindgen');
  await needWasmBindgen(wasmBindgen);

  const target = 'wasm32-unknown-unknown';
  const crate = ['--locked', '--lib', '--package', 'gossipstore-wasm', '--target', target, '--profile', profile];
  // The crate is an `rlib` too, for its tests, and rustc leaves out link-time optimisation when it makes one: a fifth of the file.
  const cargo = profile === 'dev' ? ['build', ...crate] : ['rustc', ...crate, '--crate-type', 'cdylib'];
  await run('engine (wasm)', 'cargo', cargo);

  rmSync(MODULES, { recursive: true, force: true });
  await run('bindings', wasmBindgen, [
    join(TARGET, target, profile === 'dev' ? 'debug' : profile, 'gossipstore_wasm.wasm'),
    ...['--out-dir', MODULES, '--out-name', 'gossipstore', '--target', 'web'],
    // Our own declarations are stricter (ts/gossipstore.d.ts), and our own loader names the file (ts/engine.ts).
    ...['--no-typescript', '--omit-default-module-path'],
    // The names of functions are a tenth of the download; a trap in the dev build keeps them for its stack.
    ...(profile === 'dev' ? [] : ['--remove-name-section', '--remove-producers-section']),
  ]);
  await run('facade', npmBin('tsc'), ['--project', join(HERE, 'tsconfig.build.json'), '--outDir', MODULES]);
  copyFileSync(join(HERE, 'ts', 'gossipstore.d.ts'), join(MODULES, 'gossipstore.d.ts'));

  // Built beside and moved at the end: whoever serves dist meanwhile sees the old package or the new one, not a half.
  const fresh = join(HERE, 'pkg');
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh);
  await bundleInto(fresh);
  for (const file of readdirSync(MODULES)) {
    if (/\.(d\.ts|wasm)$/.test(file)) copyFileSync(join(MODULES, file), join(fresh, file));
  }
  copyFileSync(join(HERE, 'README.md'), join(fresh, 'README.md'));
  for (const licence of LICENCES) copyFileSync(join(ROOT, licence), join(fresh, licence));
  writeFileSync(join(fresh, 'package.json'), `${JSON.stringify(manifest(), undefined, 2)}\n`);
  report(join(fresh, 'gossipstore_bg.wasm'));
  rmSync(PACKAGE_DIST, { recursive: true, force: true });
  renameSync(fresh, PACKAGE_DIST);
}

/**
 * One file for each of the two things that are exported, since a page without a bundler pays a round trip for every level of imports
 * before it can even ask for the wasm. The entry only names them: a bundler leaves out what an app does not use, file by file.
 */
async function bundleInto(folder) {
  const entryPoints = ['replicated-store', 'lru-cache'].map((name) => join(MODULES, `${name}.js`));
  const options = { bundle: true, format: 'esm', target: 'es2022', charset: 'utf8', logLevel: 'warning' };
  await bundle({ ...options, entryPoints, outdir: folder });
  copyFileSync(join(MODULES, 'index.js'), join(folder, 'index.js'));
}

/** wasm-bindgen reads what the crate of the same version wrote into the wasm, and of no other version. */
async function needWasmBindgen(program) {
  const found = (await ask(program, ['--version']))?.split(/\s+/)[1];
  if (found === WASM_BINDGEN) return;
  const what = found === undefined ? `${program} was not found` : `${program} is version ${found}`;
  throw new Failure(`${what}; exactly ${WASM_BINDGEN} is needed`, 'run `npm run setup`, which installs it');
}

/** The package's manifest as it stands inside dist: without what only the workspace needs. */
function manifest() {
  const { scripts, devDependencies, files, ...published } = JSON.parse(
    readFileSync(join(HERE, 'package.json'), 'utf8'),
  );
  const inside = (path) => path.replace(/^\.\/dist\//, './');
  const exports = Object.fromEntries(
    Object.entries(published.exports).map(([entry, target]) => [
      entry,
      typeof target === 'string'
        ? inside(target)
        : Object.fromEntries(Object.entries(target).map(([condition, path]) => [condition, inside(path)])),
    ]),
  );
  return { ...published, exports, files: ['*.js', '*.d.ts', '*.wasm', ...LICENCES] };
}

/** How much a visitor downloads. */
function report(wasm) {
  const raw = readFileSync(wasm);
  const brotli = brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
  console.log(`  gossipstore_bg.wasm: ${kilobytes(raw.length)} raw, ${kilobytes(brotli.length)} brotli`);
}

if (isMain(import.meta.url)) await main(build);
