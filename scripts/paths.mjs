// Where things are: in the checkout, and in the cache that outlives it.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gossipstore');

/** Compiled tools, shared by all checkouts: minutes to build, and the same for as long as their versions are. */
export const TOOLS = resolve(process.env.GOSSIPSTORE_TOOLS || join(CACHE, 'tools'));
export const TOOLS_BIN = join(TOOLS, 'bin');

/** Cargo's own setting, honoured so that a person can keep build output elsewhere. */
export const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR || 'target');

/** What a run leaves for the next one: the relay's identity, stamps of what was built. */
export const STATE = join(ROOT, '.gossipstore');

export const PACKAGE_DIST = join(ROOT, 'wasm', 'dist');
export const DEMO_DIST = join(ROOT, 'web-demo', 'dist');
export const INTEROP_DIST = join(ROOT, 'interop', 'dist');

/** @param {'dev' | 'release'} profile */
export function relayBinary(profile) {
  const name = process.platform === 'win32' ? 'gossipstore-relay.exe' : 'gossipstore-relay';
  return join(TARGET, profile === 'dev' ? 'debug' : 'release', name);
}

/** A command-line tool that `npm ci` installed. */
export function npmBin(name) {
  return join(ROOT, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
}

/** The environment for child processes: the pinned tools first, cargo's folder too, as a fresh shell may lack it. */
export function childEnv(extra = {}) {
  const cargoBin = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'bin');
  const path = [TOOLS_BIN, process.env.PATH, cargoBin].filter(Boolean).join(delimiter);
  // Absolute, since not every program runs in the checkout's root.
  const target = process.env.CARGO_TARGET_DIR ? { CARGO_TARGET_DIR: TARGET } : {};
  return { ...process.env, ...target, PATH: path, ...extra };
}

/** The first of `candidates` that is a file on this machine. */
export function firstExisting(candidates) {
  return candidates.find((path) => path && existsSync(path));
}

/** A Chromium for the tests; `GOSSIPSTORE_CHROMIUM` names one in an unusual place. */
export function findChromium() {
  return firstExisting([
    process.env.GOSSIPSTORE_CHROMIUM,
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ]);
}

/** The WebDriver of that Chromium; it must be of the same version. */
export function findChromedriver() {
  return firstExisting([process.env.CHROMEDRIVER, '/usr/bin/chromedriver', '/usr/local/bin/chromedriver']);
}

/** A Firefox for the tests; `GOSSIPSTORE_FIREFOX` names one in an unusual place. */
export function findFirefox() {
  return firstExisting([
    process.env.GOSSIPSTORE_FIREFOX,
    '/usr/bin/firefox-esr',
    '/usr/bin/firefox',
    '/Applications/Firefox.app/Contents/MacOS/firefox',
  ]);
}
