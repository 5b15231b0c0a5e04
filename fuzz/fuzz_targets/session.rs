//! libFuzzer's entry to `gossipstore_fuzz::session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gossipstore_fuzz::session::run(input));
