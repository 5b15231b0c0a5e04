//! libFuzzer's entry to `gossipstore_fuzz::cache`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gossipstore_fuzz::cache::run(input));
