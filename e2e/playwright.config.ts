import { defineConfig } from '@playwright/test';
import type { Settings } from './world.ts';

export default defineConfig<object, Settings>({
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
  projects: [
    // For a screenshot Playwright puts a style into Firefox's page, which the page's policy forbids: an error that nobody expects.
    { name: 'chromium', use: { browsers: ['chromium'], screenshot: 'only-on-failure' } },
    { name: 'firefox', use: { browsers: ['firefox'] }, testIgnore: 'sleep.spec.ts' },
    // What two browsers have to agree on. Who comes later asks, who was there answers, and each browser has to do both.
    {
      name: 'chromium-first',
      use: { browsers: ['chromium', 'firefox'] },
      testMatch: ['catch-up.spec.ts', 'conflict.spec.ts', 'direct.spec.ts'],
    },
    { name: 'firefox-first', use: { browsers: ['firefox', 'chromium'] }, testMatch: 'direct.spec.ts' },
  ],
});
