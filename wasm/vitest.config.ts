import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const built = fileURLToPath(new URL('./modules', import.meta.url));

// The tests of the API run the built package as Node loads it, the real engine included; build it first (`node build.mjs --dev`).
// The tests of single files import them from ts/, where the engine's bindings are not: they are taken from where the build left them.
export default defineConfig({
  resolve: { alias: [{ find: /^\.\/gossipstore\.js$/, replacement: `${built}/gossipstore.js` }] },
  test: {
    environment: 'node',
    include: ['tests/**/*.test.ts'],
    // Nothing here takes a second on an idle machine; a busy one must not make a test fail.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    server: { deps: { external: [/\/wasm\/(dist|modules)\//] } },
  },
});
