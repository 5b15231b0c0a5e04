//! Golden vectors: what once came out and has to come out for ever, as hexadecimal or text under a name, in `vectors/<file>.json`.
//!
//! After a deliberate change: `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test <test>`.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of it")]

use std::{collections::BTreeMap, env, fs, path::Path};

/// Texts under their names.
pub type Vectors = BTreeMap<String, String>;

/// What is written down; with the variable set, what was made now is written down first.
///
/// # Panics
/// When the file cannot be read or written.
pub fn recorded(file: &str, made: Option<&Vectors>) -> Vectors {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vectors/{file}.json"));
    if let Some(made) = made
        && env::var_os("GOSSIPSTORE_WRITE_VECTORS").is_some()
    {
        let text = serde_json::to_string_pretty(made).expect("texts are JSON");
        fs::write(&path, text + "\n").expect("the folder of vectors is writable");
    }
    let text = fs::read_to_string(&path).expect("the vectors are in the repository");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
