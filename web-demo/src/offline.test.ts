import { expect, test } from 'vitest';
import { describeOffline, type Offline } from './offline.js';

test('the details say whether the page starts without a network, and why not', () => {
  const cases: [string, Offline][] = [
    ['Needs a network to start: there is no worker.', { state: 'unavailable', why: 'there is no worker' }],
    ['Being made ready to start without a network…', { state: 'preparing' }],
    ['Ready to work offline: it starts without a network.', { state: 'ready' }],
    ['Not ready to work offline: a file is missing.', { state: 'failed', why: 'a file is missing' }],
  ];
  for (const [text, offline] of cases) expect(describeOffline(offline)).toBe(text);
});
