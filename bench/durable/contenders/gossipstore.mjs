/** This store, through its public interface, without a relay: nothing leaves the page. */

import { GossipStore } from '@gossipstore/core';

let store;
/** The memory of the engine, which no heap counts: caught while it is started, since the package keeps it to itself. */
let memory;

export async function open() {
  for (const start of ['instantiate', 'instantiateStreaming']) {
    const original = WebAssembly[start];
    WebAssembly[start] = async (...args) => {
      const started = await original.apply(WebAssembly, args);
      memory = (started.instance ?? started).exports.memory;
      return started;
    };
  }
  store = await GossipStore.open('bench', { relays: [] });
}

/** Where the store says that its data is. */
export const kind = () => store.status.storage.kind;

export const wasmBytes = () => memory?.buffer.byteLength;

export const get = (key) => store.get(key);

export const set = (key, value) => store.set(key, value);

export const setAll = (entries) => store.setMany(entries);
