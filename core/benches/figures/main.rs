//! The engine's figures apart from rates (see `rates.rs`) and memory (see `memory.rs`): the bytes and round trips of sessions,
//! which are exact and the same on every machine, and the longest steps of a large store.
//!
//! Prints JSON, or writes it to the folder that `--out` names, with the workload that other stores are given there; `npm run
//! bench` shows it beside the bars. `--long` adds every case of the store of a million keys.

mod authors;
mod history;
mod sessions;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod together;

use serde_json::json;
use support::out;

fn main() {
    let figures = json!({
        "sessions": sessions::all(out::is_long()),
        "history": history::worn(),
        "authors": support::authors::COUNTS.map(authors::many),
        "together": together::both_wrote(),
        "steps": steps::all(1_000_000),
    });
    out::deliver("figures.json", &figures);
    if let Some(folder) = out::folder() {
        together::write_workload(&folder);
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
