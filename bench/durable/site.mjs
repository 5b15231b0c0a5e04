/** A contender's page on a server, and so an origin, of its own. */

import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { PACKAGE_DIST } from '../../scripts/paths.mjs';
import { serve } from '../../scripts/serve.mjs';

/** The tasks are noted from the first script on: what comes later would miss those that came before. */
const PAGE = `<!doctype html><title>bench</title><script>
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) window.longTasks.push({ startTime, duration });
}).observe({ type: 'longtask', buffered: true });
</script><script type="module" src="/page.js"></script>`;

/** Builds the page of a contender into `folder` and serves it; what an app's bundler would do, and no more. */
export async function makeSite(folder, contender) {
  mkdirSync(folder);
  // The wasm, and what else the package asks for by its own address, is looked for beside the script.
  if (contender === 'gossipstore') cpSync(PACKAGE_DIST, folder, { recursive: true });
  await build({
    stdin: {
      contents: `import * as contender from './contenders/${contender}.mjs';
import { run } from './page.mjs';
window.opened = run(contender);`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    alias: { '@gossipstore/core': join(PACKAGE_DIST, 'index.js') },
    define: { global: 'globalThis' },
    outfile: join(folder, 'page.js'),
    logLevel: 'error',
  });
  writeFileSync(join(folder, 'index.html'), PAGE);
  return serve(folder);
}
