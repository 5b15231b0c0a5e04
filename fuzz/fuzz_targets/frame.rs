//! libFuzzer's entry to `gossipstore_fuzz::frame`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gossipstore_fuzz::frame::run(input));
