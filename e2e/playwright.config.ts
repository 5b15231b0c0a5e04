import { defineConfig } from '@playwright/test';

/** What headless Chromium needs as root and must not do on its own: reach out for updates, or try QUIC. */
const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  // Generous: these end a test that hangs. What must be fast is measured in the page.
  timeout: 90_000,
  expect: { timeout: 20_000 },
  // A test that passes when tried again hides a defect.
  retries: 0,
  // Each test has three browsers' worth of work, and one asserts a time.
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list']],
  use: {
    browserName: 'chromium',
    launchOptions: {
      executablePath: process.env.GOSSIPSTORE_CHROMIUM ?? '/usr/bin/chromium',
      args: CHROMIUM_FLAGS,
    },
    screenshot: 'only-on-failure',
  },
});
