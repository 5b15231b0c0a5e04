//! Goal: what was once found stays repaired, and what the corpus reaches stays right. Method: every file of `corpus` and `crashers` is
//! handed to its target.

use std::{fs, panic, path::Path};

use gossipstore_fuzz::TARGETS;

fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let mut failed = Vec::new();
    let mut count = 0;
    for folder in ["corpus", "crashers"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
        let Ok(files) = fs::read_dir(&folder) else { continue };
        for file in files {
            let path = file.expect("the folder is readable").path();
            let input = fs::read(&path).expect("the file is readable");
            if panic::catch_unwind(|| run(&input)).is_err() {
                failed.push(path);
            }
            count += 1;
        }
    }
    assert!(count > 0, "{target} has no corpus");
    assert!(
        failed.is_empty(),
        "of {count} inputs of {target}, these failed: {failed:#?}"
    );
}

#[test]
fn batch() {
    replay("batch");
}

#[test]
fn cache() {
    replay("cache");
}

#[test]
fn frame() {
    replay("frame");
}

#[test]
fn membership() {
    replay("membership");
}

#[test]
fn session() {
    replay("session");
}
