/**
 * An engine that stops in the middle of its work: what waits fails, what comes fails, nothing hangs.
 *
 * Method: the host over an engine that traps as a panicked one does; that the real engine's panic reaches the listener is
 * tested in the browser (`panic.rs`).
 */
import { beforeEach, expect, it, vi } from 'vitest';
import type { Bindings } from '../ts/engine.js';
import type { HostEvent, Status } from '../ts/host.js';
import { NOTHING_REFUSED } from './store.js';

const ADDRESS = '/ip4/127.0.0.1/tcp/1/ws/p2p/x';

const CONNECTED: Status = {
  role: 'leader',
  network: 'relayed',
  peers: [{ id: 'peer', path: 'relayed', inSync: false, bytesIn: 1, bytesOut: 2 }],
  storage: { kind: 'memory', persisted: false, usedBytes: 7 },
  relays: [{ address: ADDRESS, state: 'connected' }],
  pending: 1,
  refused: NOTHING_REFUSED,
};

/** The last status of an engine that is gone. */
function left(why: string): HostEvent {
  return {
    event: 'status',
    status: {
      role: 'leader',
      network: 'offline',
      peers: [],
      storage: { kind: 'memory', persisted: false, usedBytes: 0 },
      relays: [{ address: ADDRESS, state: 'waiting', error: expect.stringContaining(why) }],
      pending: 0,
      refused: NOTHING_REFUSED,
    },
  };
}

/** An engine that never answers a write, and traps when it is read. */
class StuckEngine {
  size = 0;

  static open(): StuckEngine {
    return new StuckEngine();
  }

  status(): Status {
    return CONNECTED;
  }

  transact(): Promise<undefined> {
    return new Promise(() => {});
  }

  get(): never {
    throw new WebAssembly.RuntimeError('unreachable');
  }

  lastEvent(): undefined {}

  free(): void {}

  close(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

const bindings = { Engine: StuckEngine, limits: () => ({ keyBytes: 1, transactionWrites: 1 }) } as unknown as Bindings;

// What is known of a defect belongs to the module, as the engine belongs to the page: each test has its own.
beforeEach(() => vi.resetModules());

async function openHost() {
  const { LocalHost } = await import('../ts/local-host.js');
  const { reportDefect, loadEngine } = await import('../ts/engine.js');
  const host = new LocalHost(() => Promise.resolve(bindings));
  await host.call({ call: 'open', name: 'x', relays: [], ice: [], storage: 'memory' });
  const events: HostEvent[] = [];
  host.subscribe((event) => events.push(event));
  return { host, events, reportDefect, loadEngine };
}

const internal = expect.objectContaining({ code: 'Internal', message: expect.stringContaining('reload the page') });

it('fails what waits when the engine panics, and tells of it once', async () => {
  const { host, events, reportDefect, loadEngine } = await openHost();
  const stuck = host.call({ call: 'transact', keys: ['k'], values: [null] });
  reportDefect('panicked at somewhere');
  reportDefect('and again');
  await expect(stuck).rejects.toEqual(internal);
  await expect(stuck).rejects.toMatchObject({ message: expect.stringContaining('panicked at somewhere') });
  const nobody = { event: 'presence', present: [], changed: [] };
  expect(events).toEqual([left('defect'), nobody, { event: 'error', failure: internal }]);

  await expect(host.call({ call: 'clear' })).rejects.toEqual(internal);
  await expect(host.call({ call: 'close' })).rejects.toEqual(internal);
  await expect(loadEngine()).rejects.toEqual(internal);
});

it('takes a trap for a defect, and fails the other stores of the page too', async () => {
  const { host, events } = await openHost();
  const { LocalHost } = await import('../ts/local-host.js');
  const other = new LocalHost(() => Promise.resolve(bindings));
  await other.call({ call: 'open', name: 'y', relays: [], ice: [], storage: 'memory' });
  const stuck = other.call({ call: 'transact', keys: ['k'], values: [null] });

  await expect(host.call({ call: 'get', keys: ['k'] })).rejects.toEqual(internal);
  await expect(stuck).rejects.toEqual(internal);
  expect(events).toHaveLength(3);
});

it('lets a closed store be', async () => {
  const { host, events, reportDefect } = await openHost();
  await host.call({ call: 'close' });
  reportDefect('panicked at somewhere');
  expect(events).toEqual([left('closed')]);
  await expect(host.call({ call: 'clear' })).rejects.toMatchObject({ code: 'Closed' });
});
