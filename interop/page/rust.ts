// The peer in Rust, as wasm-bindgen makes it.
import type { Options, Peer } from './peer.ts';

/** The bindings. They are made after this page, so that its bundle cannot hold them. */
interface Bindings {
  default(): Promise<unknown>;
  RustPeer: { start(relay: string | undefined, gossips: boolean): Peer };
}

export async function start({ relay, gossips = false }: Options): Promise<Peer> {
  const bindings: Bindings = await import(/* @vite-ignore */ new URL('rust/interop.js', document.baseURI).href);
  await bindings.default();
  return bindings.RustPeer.start(relay, gossips);
}
