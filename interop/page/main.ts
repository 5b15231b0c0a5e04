// A page that becomes a peer of either kind when a test says so.
import { Census } from './census.ts';
import type { Kind, Options, Peer } from './peer.ts';

declare global {
  interface Window {
    census: Census;
    start(kind: Kind, options: Options): Promise<void>;
    peer?: Peer;
  }
}

window.census = new Census();
window.start = async (kind, options) => {
  // Loaded only now: js-libp2p keeps the RTCPeerConnection that it finds when it is loaded, and it has to be the census's.
  const { start } = kind === 'rust' ? await import('./rust.ts') : await import('./js.ts');
  window.peer = await start(options);
};
