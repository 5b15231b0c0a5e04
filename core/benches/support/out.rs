//! Where a bench leaves its figures, and what it was asked for.

use std::{env, fs, path::PathBuf};

use serde_json::Value;

/// Whether all was asked for, also what takes minutes.
pub fn is_long() -> bool {
    env::args().any(|arg| arg == "--long")
}

/// The folder that `--out` names.
pub fn folder() -> Option<PathBuf> {
    let mut args = env::args().skip_while(|arg| arg != "--out");
    args.nth(1).map(PathBuf::from)
}

/// Writes the figures to a file in that folder; prints them when there is none.
pub fn deliver(file: &str, figures: &Value) {
    let text = serde_json::to_string_pretty(figures).expect("figures are JSON");
    match folder() {
        Some(folder) => fs::write(folder.join(file), text).expect("the folder given by --out is writable"),
        None => println!("{text}"),
    }
}
