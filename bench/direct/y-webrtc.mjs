/** The same small write with Yjs and y-webrtc: a document in each of two tabs, and the signalling server that comes with y-webrtc. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { npmBin } from '../../scripts/paths.mjs';
import { freePort } from '../../scripts/relay.mjs';
import { halfRoundTrips } from './world.mjs';

/** A tab's script: joins the room that its fragment names, and answers what `echo` asks as a tab with a store does. */
const SCRIPT = `
import * as Y from 'yjs';
import { WebrtcProvider } from 'y-webrtc';
const { room, signaling } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const doc = new Y.Doc();
const provider = new WebrtcProvider(room, doc, { signaling: [signaling], peerOpts: { config: { iceServers: [] } } });
window.map = doc.getMap('values');
provider.on('synced', () => { window.synced = true; });
`;

/** How long each of `rounds` small writes took, one way, in ms. */
export async function yWebrtc(world, rounds) {
  const { outputFiles } = await build({
    stdin: { contents: SCRIPT, resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    format: 'esm',
    define: { global: 'globalThis' },
    write: false,
    logLevel: 'error',
  });
  writeFileSync(join(world.site, 'y-webrtc.js'), outputFiles[0].contents);
  writeFileSync(
    join(world.site, 'y-webrtc.html'),
    '<!doctype html><title>bench</title><script type="module" src="/y-webrtc.js"></script>',
  );
  const port = await freePort();
  const server = spawn(npmBin('y-webrtc-signaling'), {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    // Its first line says that it listens.
    await once(createInterface(server.stdout), 'line');
    const fragment = encodeURIComponent(JSON.stringify({ room: 'bench', signaling: `ws://127.0.0.1:${port}` }));
    const tabs = [];
    for (let n = 0; n < 2; n += 1) {
      const page = await (await world.browser.newContext()).newPage();
      await page.goto(`${world.origin}/y-webrtc.html#${fragment}`);
      tabs.push(page);
    }
    for (const tab of tabs) await tab.waitForFunction(() => window.synced === true);
    const [a, b] = tabs;
    await b.evaluate(() => {
      window.map.observe((event, { local }) => {
        if (!local && event.keysChanged.has('ping')) window.map.set('pong', window.map.get('ping'));
      });
    });
    await a.evaluate(() => {
      window.ask = (n) => window.map.set('ping', n);
      window.map.observe((event, { local }) => {
        if (!local && event.keysChanged.has('pong')) window.answered(window.map.get('pong'));
      });
    });
    const times = await halfRoundTrips(a, rounds);
    for (const tab of tabs) await tab.context().close();
    return times;
  } finally {
    server.kill();
  }
}
