//! Two browsers that meet on a relay's circuit, in one page.
//!
//! Method: each test makes swarms of its own in the page: a relay and its clients, joined by libp2p's memory transport, so
//! that nothing leaves the page but what the browser's own WebRTC sends to itself. What is awaited is an event, never a
//! time; `within` only ends what hangs. Run: `wasm-pack test --headless --chrome webrtc`.

#![cfg(target_arch = "wasm32")]

mod bare;
mod ending;
mod hostile;
mod meeting;
mod streams;
mod support;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
