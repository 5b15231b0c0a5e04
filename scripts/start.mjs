// One command from a fresh checkout to a shared list in two browser windows: sets up, builds, starts the relay and serves the
// demo, and prints the one link to open.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { bold, dim, Failure, handleInterruption, heading, isMain, main } from './console.mjs';
import { invitation, secretIn } from './invitation.mjs';
import { DEMO_DIST, relayBinary, STATE } from './paths.mjs';
import { freePort, portIsFree, startRelay } from './relay.mjs';
import { serve } from './serve.mjs';
import { setup } from './setup.mjs';

const DEMO_PORT = 8080;
const RELAY_PORT = 9091;

/** The wished port when someone wished for one, else the usual one, else any that is free. */
async function choosePort(variable, usual) {
  const wished = process.env[variable];
  if (wished === undefined || wished === '') return (await portIsFree(usual)) ? usual : freePort();
  const port = Number(wished);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Failure(`${variable}=${wished} is not a port`, 'use a number from 1 to 65535, or leave it out');
  }
  if (!(await portIsFree(port))) {
    throw new Failure(`port ${port} is taken`, `choose another ${variable}, or leave it out to have one chosen`);
  }
  return port;
}

if (isMain(import.meta.url)) {
  await main(async (args) => {
    const profile = args.includes('--dev') ? 'dev' : 'release';
    await setup({ tests: false });
    await build({ profile });

    heading('Starting');
    mkdirSync(STATE, { recursive: true });
    const [pagePort, relayPort] = [await choosePort('PORT', DEMO_PORT), await choosePort('RELAY_PORT', RELAY_PORT)];
    const relay = await startRelay({
      binary: relayBinary(profile),
      port: relayPort,
      // Kept, so that a link from yesterday still names this relay.
      identity: join(STATE, 'relay.key'),
    });
    const page = await serve(DEMO_DIST, pagePort);

    console.log(dim('  relay and demo are running; Ctrl-C ends both'));
    // Kept, so that the list of yesterday is today's.
    const secret = secretIn(join(STATE, 'list.key'));
    const link = `${page.origin}/#join=${invitation({ name: 'shopping', secret, relays: [relay.address] })}`;
    console.log(`\n  Open this in two browsers, or a private window beside a usual one:\n\n  ${bold(link)}\n`);

    let stopping = false;
    return new Promise((resolve) => {
      handleInterruption(async () => {
        if (stopping) process.exit(130);
        stopping = true;
        await Promise.all([page.close(), relay.stop()]);
        resolve(0);
      });
      relay.exited.then(async (code) => {
        if (stopping) return;
        stopping = true;
        await page.close();
        console.error(`${relay.log().trim()}\nThe relay ended with code ${code}; run \`npm start\` again.`);
        resolve(1);
      });
    });
  });
}
