//! libFuzzer's entry to `gossipstore_fuzz::batch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| gossipstore_fuzz::batch::run(input));
