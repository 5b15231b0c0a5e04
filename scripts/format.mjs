// Formats every source file, and applies what the linters can safely repair.
import { heading, isMain, main, run } from './console.mjs';
import { npmBin } from './paths.mjs';
import { setup } from './setup.mjs';

if (isMain(import.meta.url)) {
  await main(async () => {
    await setup({ tests: false });
    heading('Formatting');
    await run('rustfmt', 'cargo', ['fmt', '--all']);
    await run('rustfmt of fuzz', 'cargo', ['fmt', '--manifest-path', 'fuzz/Cargo.toml']);
    await run('biome', npmBin('biome'), ['check', '--write', '.']);
  });
}
