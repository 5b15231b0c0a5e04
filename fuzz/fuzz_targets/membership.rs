//! libFuzzer's entry to `gossipstore_fuzz::membership`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gossipstore_fuzz::membership::run(input));
