/** The examples of the package's wasm, compiled as it is shipped, for benches of what the package does inside. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from '../scripts/console.mjs';
import { TARGET, TOOLS_BIN } from '../scripts/paths.mjs';

/** Compiles `wasm/examples/<name>.rs` and gives what it exports. */
export async function loadExample(name) {
  const target = 'wasm32-unknown-unknown';
  const what = ['-p', 'gossipstore-wasm', '--example', name, '--profile', 'npm', '--target', target];
  await run(`${name}.rs`, 'cargo', ['build', '--locked', ...what]);
  const wasm = join(TARGET, target, 'npm', 'examples', `${name}.wasm`);
  const out = join(TARGET, name);
  const bindings = ['--target', 'web', '--no-typescript', '--out-dir', out];
  await run('bindings', join(TOOLS_BIN, 'wasm-bindgen'), [wasm, ...bindings]);
  const { default: init, ...exports } = await import(pathToFileURL(join(out, `${name}.js`)).href);
  await init({ module_or_path: readFileSync(join(out, `${name}_bg.wasm`)) });
  return exports;
}
