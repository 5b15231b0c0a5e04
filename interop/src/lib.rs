//! The Rust side of the tests against js-libp2p: one libp2p node in a tab, which knows nothing of stores. A test drives it by
//! the methods of [`peer::RustPeer`], which are those of the peer in JavaScript (`peer.ts`).

#![cfg(target_arch = "wasm32")]

mod direct;
mod node;
mod pattern;
mod peer;
mod streams;
mod watched;
