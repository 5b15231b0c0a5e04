// The browsers that people of a test sit at, as the system has them.
import type { Browser, BrowserContext, BrowserType, LaunchOptions } from '@playwright/test';
import { CHROMIUM_FLAGS } from '../scripts/chromium.mjs';
import { findChromium, findFirefox } from '../scripts/paths.mjs';

export type BrowserName = 'chromium' | 'firefox';

const LAUNCH_OPTIONS: Record<BrowserName, LaunchOptions> = {
  chromium: { executablePath: findChromium(), args: CHROMIUM_FLAGS },
  // The channel has Playwright speak WebDriver BiDi, which every Firefox understands; its own protocol needs a build of its own.
  // From 1.65 on it sends `emulation.setMediaFeaturesOverride` to each new context, a command that Firefox ESR 153 lacks.
  firefox: { executablePath: findFirefox(), channel: 'moz-firefox' },
};

/** A browser whose processes can be stopped, and go on as if no time had passed: as those of a machine that sleeps. */
export async function launchSleeper(type: BrowserType): Promise<{ browser: Browser; sleep(): void; wake(): void }> {
  const server = await type.launchServer(LAUNCH_OPTIONS.chromium);
  const browser = await type.connect(server.wsEndpoint());
  // It leads a group of all its processes.
  const group = -(server.process().pid as number);
  browser.on('disconnected', () => server.kill());
  return { browser, sleep: () => process.kill(group, 'SIGSTOP'), wake: () => process.kill(group, 'SIGCONT') };
}

/** What a page may do unasked, so that no test waits for a prompt. A Firefox that is driven asks for none of it. */
export const PERMISSIONS: Record<BrowserName, string[]> = {
  chromium: ['clipboard-read', 'clipboard-write'],
  firefox: [],
};

export function launch(types: Record<BrowserName, BrowserType>, name: BrowserName): Promise<Browser> {
  return types[name].launch(installed(name));
}

/** A browser whose profile lies in a folder, from which it can be started again with all that it kept. */
export function launchProfile(
  types: Record<BrowserName, BrowserType>,
  name: BrowserName,
  folder: string,
): Promise<BrowserContext> {
  return types[name].launchPersistentContext(folder, installed(name));
}

function installed(name: BrowserName): LaunchOptions {
  const options = LAUNCH_OPTIONS[name];
  // Playwright would look for a browser of its own, and advise to download it.
  if (options.executablePath === undefined) throw new Error(`no ${name} is installed here: run \`npm run setup\``);
  return options;
}

/**
 * What browsers themselves write to the console when a relay cannot be reached, and Firefox also when one is lost. Playwright
 * has Firefox's words as errors of the page.
 */
export const RELAY_NOT_REACHED = new RegExp(
  [
    String.raw`WebSocket connection to 'ws://127\.0\.0\.1:\d+/' failed`,
    String.raw`Firefox can’t establish a connection to the server at ws://127\.0\.0\.1:\d+/`,
    String.raw`The connection to ws://127\.0\.0\.1:\d+/ was interrupted while the page was loading`,
  ].join('|'),
);
