import type { Status } from './host.js';

/** The status of a store that has left the network and keeps nothing any more. */
export function leftStatus(last: Status, why: string): Status {
  return {
    ...last,
    network: 'offline',
    peers: [],
    relays: last.relays.map(({ address }) => ({ address, state: 'waiting', error: why })),
    storage: { ...last.storage, usedBytes: 0 },
    pending: 0,
  };
}
