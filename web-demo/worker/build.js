// Adds the service worker to a built page: looks at what the page consists of, writes that down with hashes, and bundles the
// worker with the list.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const SOURCE = fileURLToPath(new URL('sw.ts', import.meta.url));
const WORKER = 'sw.js';
const INDEX = 'index.html';
/** Where the page reads of which version it is. */
const VERSION = /(<meta name="version" content=")[^"]*(")/;
/** Everything else in the folder is the page's. */
const NOT_NEEDED = /\.map$/;
/** 48 bits tell the versions of one page apart. */
const VERSION_DIGITS = 12;

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/**
 * What the page in `folder` consists of. The version is the hash over all of it, so the same files are the same version,
 * whoever built them.
 * @returns {{ version: string, files: Record<string, string>, index: string }} `index`: the page with its version written into it
 */
export function describePage(folder) {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(folder, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join('/'),
    )
    .filter((path) => path !== WORKER && !NOT_NEEDED.test(path))
    .sort();
  const html = readFileSync(join(folder, INDEX), 'utf8');
  if (!VERSION.test(html)) throw new Error(`${INDEX} has no place for its version`);
  const files = {};
  for (const path of paths) files[path] = sha256(readFileSync(join(folder, path)));
  // The version cannot be part of what it is made from.
  files[INDEX] = sha256(html.replace(VERSION, '$1$2'));
  const version = sha256(JSON.stringify(Object.entries(files))).slice(0, VERSION_DIGITS);
  const index = html.replace(VERSION, `$1${version}$2`);
  files[INDEX] = sha256(index);
  return { version, files, index };
}

/** Gives the page in `folder` its version and its worker. May be repeated after the files have changed. */
export async function addWorker(folder) {
  const { version, files, index } = describePage(folder);
  writeFileSync(join(folder, INDEX), index);
  // One classic script: not every browser that has service workers takes modules there.
  const [{ output }] = await build({
    configFile: false,
    logLevel: 'warn',
    define: { PRECACHE: JSON.stringify({ version, files }) },
    build: { write: false, target: 'es2022', lib: { entry: SOURCE, formats: ['iife'], name: 'worker' } },
  });
  writeFileSync(join(folder, WORKER), output[0].code);
}

/** For Vite: adds the worker when everything else is written. */
export function serviceWorker() {
  return {
    name: 'service-worker',
    // The dev server's modules change under the page; nothing may keep them.
    apply: 'build',
    writeBundle: ({ dir }) => addWorker(dir),
  };
}
