// Everything that can be said about the sources without running them. All checks run, so that one visit shows all there is.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { dim, Failure, heading, isMain, main, red, run } from './console.mjs';
import { FUZZ_TARGET } from './fuzz.mjs';
import { npmBin, ROOT, TOOLS_BIN } from './paths.mjs';
import { setup } from './setup.mjs';

const DENY = ['--', '-D', 'warnings'];
const FUZZ = ['--manifest-path', 'fuzz/Cargo.toml'];
const WASM32 = ['--target', 'wasm32-unknown-unknown'];

const CHECKS = [
  ['rustfmt', 'cargo', ['fmt', '--all', '--check'], 'npm run format'],
  ['rustfmt of fuzz', 'cargo', ['fmt', ...FUZZ, '--check'], 'npm run format'],
  ['biome', npmBin('biome'), ['check', '--error-on-warnings', '.'], 'npm run format'],
  ['clippy', 'cargo', ['clippy', '--locked', '--workspace', '--all-targets', ...DENY]],
  ['clippy of fuzz', 'cargo', ['clippy', '--locked', ...FUZZ, '--target-dir', FUZZ_TARGET, '--all-targets', ...DENY]],
  // What only a tab compiles.
  [
    'clippy for wasm32',
    'cargo',
    [
      ...['clippy', '--locked', '-p', 'gossipstore-net', '-p', 'gossipstore-wasm', '-p', 'gossipstore-interop'],
      ...[...WASM32, ...DENY],
    ],
  ],
  [
    'clippy of webrtc for wasm32',
    'cargo',
    ['clippy', '--locked', '-p', 'libp2p-webrtc-browser', '--all-targets', ...WASM32, ...DENY],
  ],
  [
    'licences and origins of crates',
    join(TOOLS_BIN, 'cargo-deny'),
    ['--locked', 'check', 'bans', 'licenses', 'sources'],
  ],
  ...['wasm', 'web-demo', 'web-demo/worker', 'bench', 'e2e', 'interop']
    .filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json')))
    .map((folder) => [`tsc ${folder}`, npmBin('tsc'), ['--noEmit', '-p', folder]]),
];

/**
 * What is known of weaknesses in what this is built of, where that can be asked: elsewhere it is said that it was not.
 */
const WEAKNESSES = [
  ['advisories on crates', join(TOOLS_BIN, 'cargo-deny'), ['check', 'advisories'], /failed to fetch advisory database/],
  ['advisories on npm packages', 'npm', ['audit', '--audit-level=high'], /audit endpoint returned an error/],
];

async function lookForWeaknesses() {
  const failed = [];
  for (const [label, command, args, unreachable] of WEAKNESSES) {
    const { code, output, timedOut } = await run(label, command, args, { mayFail: true, limitMs: 120_000 });
    if (code === 0) continue;
    if (timedOut || unreachable.test(output)) {
      console.log(dim(`  – ${label}: not looked at, as those who publish them cannot be reached`));
    } else {
      console.error(`${output}\n  ${red('✗')} ${label}`);
      failed.push(label);
    }
  }
  return failed;
}

async function lint(args) {
  await setup({ tests: false, fuzz: true, lint: true });
  // The demo and the end to end tests are checked against the package's own types, as a stranger's project would be.
  await build({ profile: args.includes('--dev') ? 'dev' : 'release', either: true, demo: false, relay: false });
  heading('Linting');
  const failed = [];
  for (const [label, command, commandArgs, remedy] of CHECKS) {
    const advice = remedy && `\`${remedy}\` repairs what can be repaired`;
    try {
      await run(label, command, commandArgs, { remedy: advice });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      console.error(`  ${red('✗')} ${error.message}`);
      failed.push(label);
    }
  }
  failed.push(...(await lookForWeaknesses()));
  if (failed.length > 0) throw new Failure(`lint failed: ${failed.join(', ')}`);
}

if (isMain(import.meta.url)) await main(lint);
