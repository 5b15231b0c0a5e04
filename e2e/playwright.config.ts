import { defineConfig } from '@playwright/test';
import { CHROMIUM_FLAGS } from '../scripts/chromium.mjs';

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
