import { defineConfig } from '@playwright/test';
import endToEnd from '../e2e/playwright.config.ts';

/** As the tests of the store are run, but for the browsers: these are about the other end's implementation. */
const { projects: _, ...settings } = endToEnd;

export default defineConfig(settings);
