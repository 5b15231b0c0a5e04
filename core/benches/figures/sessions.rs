//! The table of sessions: what every case costs in bytes and round trips.

use serde_json::{Value, json};

use crate::support::case::{CHANGES, Case, Kind, Order, Ring};

pub(crate) fn all(long: bool) -> Vec<Value> {
    let mut cases: Vec<_> = [10_000, 100_000]
        .into_iter()
        .flat_map(|keys| Case::all(keys, &CHANGES))
        .collect();
    if long {
        cases.extend(Case::all(1_000_000, &CHANGES));
    } else {
        // Filling a million keys takes seconds, for each case: no changes, and some of each kind all over the store.
        cases.extend(Case::all(1_000_000, &[0, 1_000]));
        cases.retain(|case| case.keys < 1_000_000 || (case.order, case.ring) == (Order::Scattered, Ring::Kept));
        cases.push(Case {
            keys: 1_000_000,
            changes: 1_000,
            kind: Kind::Mixed,
            order: Order::Scattered,
            ring: Ring::Lost,
        });
    }
    cases.iter().map(row).collect()
}

fn row(case: &Case) -> Value {
    let cost = case.cost();
    let mut row = json!(case);
    row["bytes"] = cost.bytes.into();
    row["roundTrips"] = (cost.trips as f64 / 2.0).into();
    row
}
