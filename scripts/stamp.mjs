// Remembers from which sources something was built, so that what stands is not built again. By content, not by time: a
// checkout of another branch and back changes times only.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, STATE } from './paths.mjs';

/** Folders that hold what was built or installed, never sources. */
const NOT_SOURCES = new Set(['node_modules', 'dist', 'pkg', 'target', 'test-results', '.git']);

/** A hash over the names and contents of everything below `paths` (relative to the checkout), and over `salt`. */
export function fingerprint(paths, salt = '') {
  const hash = createHash('sha256').update(salt);
  const visit = (path) => {
    const full = join(ROOT, path);
    if (!existsSync(full)) return;
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) if (!NOT_SOURCES.has(name)) visit(`${path}/${name}`);
    } else {
      hash.update(`\0${path}\0`).update(readFileSync(full));
    }
  };
  for (const path of paths) visit(path);
  return hash.digest('hex');
}

/**
 * Calls `build` unless `output` stands and was last built from one of `prints`; it builds from the first. A build that fails
 * or is interrupted leaves no stamp, so the next run builds again.
 * @param {string} name
 * @param {string[]} prints
 * @param {string} output
 * @param {() => Promise<unknown>} build
 * @returns {Promise<boolean>} whether it was built now
 */
export async function unlessBuilt(name, prints, output, build) {
  const file = join(STATE, `${name}.stamp`);
  if (existsSync(output) && existsSync(file) && prints.includes(readFileSync(file, 'utf8'))) return false;
  rmSync(file, { force: true });
  await build();
  mkdirSync(STATE, { recursive: true });
  writeFileSync(file, prints[0]);
  return true;
}
