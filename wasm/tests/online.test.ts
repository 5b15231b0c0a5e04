/**
 * The browser tells that the network is back: the engine hears of it for as long as its store is open.
 *
 * Method: the host over an engine that counts how often it is told; what it does then is tested in `net/`.
 */
import { expect, it, vi } from 'vitest';
import type { Bindings } from '../ts/engine.js';
import { LocalHost } from '../ts/local-host.js';

it('an engine is told that the network is back until its store is closed', async () => {
  const page = new EventTarget();
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
  let told = 0;
  const engine = {
    size: 0,
    status: () => ({ peers: [], relays: [], storage: {} }),
    networkChanged: () => {
      told += 1;
    },
    close: () => Promise.resolve(undefined),
    lastEvent: () => undefined,
    free: () => {},
  };
  const bindings = { Engine: { open: () => engine }, limits: () => ({}) } as unknown as Bindings;
  const host = new LocalHost(() => Promise.resolve(bindings));
  await host.call({ call: 'open', name: 'x', relays: [], ice: [], storage: 'memory' });
  expect(told).toBe(0);
  page.dispatchEvent(new Event('online'));
  page.dispatchEvent(new Event('online'));
  expect(told).toBe(2);

  await host.call({ call: 'close' });
  page.dispatchEvent(new Event('online'));
  expect(told).toBe(2);
});
