/**
 * A store that is opened before all of it is loaded: single keys are read at once, everything else is carried out when it is loaded, in
 * the order in which it was asked for.
 *
 * Method: the host over an engine that is loaded when the test says so; that early reads are right is tested with the real disk.
 */
import { expect, it, vi } from 'vitest';
import type { Bindings } from '../ts/engine.js';
import type { HostEvent, Status } from '../ts/host.js';
import { LocalHost } from '../ts/local-host.js';
import { NOTHING_REFUSED } from './store.js';

const STATUS: Status = {
  role: 'leader',
  network: 'offline',
  peers: [],
  storage: { kind: 'indexeddb', persisted: false, usedBytes: 7 },
  relays: [],
  pending: 0,
  refused: NOTHING_REFUSED,
};

class LoadingEngine {
  static last: LoadingEngine;
  /** What tells the last to give up. */
  static superseded: AbortSignal | undefined;
  /** What the next waits for. */
  static mayOpen: Promise<void> | undefined;
  readonly log: string[] = [];
  readonly loaded: Promise<undefined>;
  size = 3;
  finish: () => void = () => {};
  fail: (error: unknown) => void = () => {};

  constructor() {
    LoadingEngine.last = this;
    this.loaded = new Promise((resolve, reject) => {
      this.finish = () => resolve(undefined);
      this.fail = reject;
    });
  }

  static async openStored(_options: object, _takesOver: boolean, superseded: AbortSignal): Promise<LoadingEngine> {
    LoadingEngine.superseded = superseded;
    await LoadingEngine.mayOpen;
    return new LoadingEngine();
  }

  status(): Status {
    return STATUS;
  }

  async glimpse(key: string): Promise<Uint8Array | undefined> {
    this.log.push(`glimpse ${key}`);
    if (key === 'moved') throw Object.assign(new Error('a record is missing'), { code: 'StorageUnreadable' });
    return key === 'absent' ? undefined : Uint8Array.of(1);
  }

  get(key: string): Uint8Array {
    this.log.push(`get ${key}`);
    return Uint8Array.of(2);
  }

  getMany(keys: readonly string[]): Uint8Array[] {
    this.log.push(`get ${keys.length}`);
    return keys.map(() => Uint8Array.of(2));
  }

  async transact(keys: readonly string[]): Promise<undefined> {
    this.log.push(`write ${keys[0]}`);
  }

  supersede(): void {
    this.log.push('supersede');
  }

  free(): void {}
}

const bindings = {
  Engine: LoadingEngine,
  limits: () => ({ keyBytes: 1, transactionWrites: 1 }),
} as unknown as Bindings;

async function open(): Promise<{ host: LocalHost; engine: LoadingEngine; events: HostEvent[] }> {
  const host = new LocalHost(async () => bindings);
  const events: HostEvent[] = [];
  const opened = await host.call({ call: 'open', name: 'x', relays: [], ice: [], storage: 'indexeddb' });
  host.subscribe((event) => events.push(event));
  expect(opened).toMatchObject({ size: 3, status: { storage: { usedBytes: 7 } } });
  return { host, engine: LoadingEngine.last, events };
}

it('reads single keys at once, as long as nothing waits', async () => {
  const { host, engine } = await open();
  expect(await host.call({ call: 'get', keys: ['a', 'absent'] })).toEqual([Uint8Array.of(1), undefined]);
  expect(await host.call({ call: 'has', key: 'a' })).toBe(true);
  expect(await host.call({ call: 'has', key: 'absent' })).toBe(false);
  engine.finish();
  await engine.loaded;
  expect(await host.call({ call: 'get', keys: ['a'] })).toEqual([Uint8Array.of(2)]);
  expect(engine.log).toEqual(['glimpse a', 'glimpse absent', 'glimpse a', 'glimpse absent', 'get a']);
});

it('carries out everything else when it is loaded, in its order', async () => {
  const { host, engine } = await open();
  const many = Array.from({ length: 100 }, (_, n) => `${n}`);
  const calls = [
    host.call({ call: 'get', keys: many }),
    host.call({ call: 'transact', keys: ['a'], values: [Uint8Array.of(2)] }),
    host.call({ call: 'get', keys: ['a'] }),
  ];
  expect(engine.log).toEqual([]);
  engine.finish();
  // Asked for as soon as anybody can know that it is loaded.
  const next = engine.loaded.then(() => host.call({ call: 'get', keys: ['b'] }));
  await Promise.all([...calls, next]);
  expect(engine.log).toEqual(['get 100', 'write a', 'get a', 'get b']);
});

it('reads again what is not where it was when the store is loaded', async () => {
  const { host, engine } = await open();
  const read = host.call({ call: 'get', keys: ['moved'] });
  await host.call({ call: 'has', key: 'a' });
  engine.finish();
  expect(await read).toEqual([Uint8Array.of(2)]);
  expect(engine.log).toEqual(['glimpse moved', 'glimpse a', 'get 1']);
});

it('fails what waits when what is stored cannot be read', async () => {
  const { host, engine, events } = await open();
  const read = host.call({ call: 'get', keys: ['moved'] });
  const write = host.call({ call: 'transact', keys: ['a'], values: [null] });
  engine.fail(Object.assign(new Error('a page is damaged'), { code: 'StorageUnreadable' }));
  const failure = { code: 'StorageUnreadable', message: 'a page is damaged' };
  await expect(write).rejects.toEqual(failure);
  await expect(read).rejects.toEqual(failure);
  await expect(host.call({ call: 'get', keys: ['a'] })).rejects.toEqual(failure);
  expect(events.at(-1)).toEqual({ event: 'error', failure });
  expect(engine.log).toEqual(['glimpse moved']);
});

it('fails what waits when another tab takes the store over', async () => {
  const { host, engine } = await open();
  const write = host.call({ call: 'transact', keys: ['a'], values: [null] });
  host.supersede();
  await expect(write).rejects.toMatchObject({ code: 'Superseded' });
  engine.finish();
  await engine.loaded;
  expect(engine.log).toEqual(['supersede']);
});

it('gives an opening up when another tab has the store by then', async () => {
  let open = () => {};
  LoadingEngine.superseded = undefined;
  LoadingEngine.mayOpen = new Promise((resolve) => {
    open = resolve;
  });
  const host = new LocalHost(async () => bindings);
  const opening = host.call({ call: 'open', name: 'x', relays: [], ice: [], storage: 'indexeddb' });
  const given = () => LoadingEngine.superseded;
  await vi.waitFor(() => expect(given()?.aborted).toBe(false));
  host.supersede();
  expect(given()?.aborted).toBe(true);
  open();
  // This one was opened before it could hear of that.
  await expect(opening).rejects.toMatchObject({ code: 'Superseded' });
  expect(LoadingEngine.last.log).toEqual(['supersede']);
  await expect(host.call({ call: 'has', key: 'a' })).rejects.toMatchObject({ code: 'Closed' });
});
