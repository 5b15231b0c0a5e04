//! What happened in the store, as the facade hears of it: plain objects, told apart by `event`.

use std::collections::BTreeMap;

use gossipstore_core::{
    id::Dot,
    replica::{Absent, Change, Origin, Replica, Shown, Value},
};
use gossipstore_net::{Handle, NodeEvent};
use js_sys::Array;
use wasm_bindgen::JsValue;

use crate::{convert, error::storage_code};

/// The values of an event that are not in memory, as far as they can be had.
pub(crate) async fn load(event: &NodeEvent, watched: &[String], handle: &Handle) -> BTreeMap<Dot, Value> {
    let NodeEvent::Changed(changes) = event else {
        return BTreeMap::new();
    };
    let absent = |change: &Change, shown: &Option<Shown>| {
        let shown = shown.as_ref()?;
        Absent::of(shown.dot, &change.key, &shown.body)
    };
    let shown = changes.iter().filter(|change| is_watched(change, watched));
    let wanted = shown.flat_map(|change| [absent(change, &change.value), absent(change, &change.previous)]);
    let wanted: Vec<Absent> = wanted.flatten().collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    handle.load(wanted).await.unwrap_or_default().into_iter().collect()
}

fn is_watched(change: &Change, watched: &[String]) -> bool {
    watched.iter().any(|prefix| change.key.starts_with(prefix.as_str()))
}

/// The object for one event. `watched` are the prefixes under which changes cross with their values; `loaded` are those that were not in
/// memory.
pub(crate) fn to_js(event: NodeEvent, watched: &[String], loaded: &BTreeMap<Dot, Value>, handle: &Handle) -> JsValue {
    match event {
        NodeEvent::Changed(changes) => changed(&changes, watched, loaded, handle.read(Replica::len)),
        // Asked for when somebody wants it: these come in bursts, and a status is the largest of all that crosses.
        NodeEvent::StatusChanged => convert::object([("event", "statusChanged".into())]),
        NodeEvent::PresenceChanged => convert::object([("event", "presenceChanged".into())]),
        NodeEvent::Progress { peer, done, expected } => convert::object([
            ("event", "progress".into()),
            ("peer", peer.into()),
            ("done", (done as f64).into()),
            ("expected", (expected as f64).into()),
        ]),
        NodeEvent::Forked(fork) => {
            let message = format!(
                "a member told some tabs another write than others, as event {} of {}, or says that somebody did; what is not the same \
                 in all of them is taken out of all; if you do not know why, begin a new store and invite only whom you trust",
                fork.dot.n, fork.dot.author
            );
            failure("Forked", &message)
        }
        NodeEvent::SessionFailed { peer, error } => {
            let message = format!(
                "a session with peer {peer} was given up; nothing was lost and another follows by itself: {error}"
            );
            failure("SessionFailed", &message)
        }
        NodeEvent::StorageFailed(error) => {
            let message = format!("what is written cannot be stored: {}", error.reason);
            failure(storage_code(&error), &message)
        }
    }
}

/// Something went wrong that no call waits for.
fn failure(code: &str, message: &str) -> JsValue {
    let failure = convert::object([("code", code.into()), ("message", message.into())]);
    convert::object([("event", "error".into()), ("failure", failure)])
}

/// The changes of one transaction or session, as columns. Keys in conflict are always told; what the keys read now and before
/// crosses only under a prefix that somebody watches, since a first sync may change 100,000 keys of which nobody looks at one.
fn changed(changes: &[Change], watched: &[String], loaded: &BTreeMap<Dot, Value>, size: usize) -> JsValue {
    let value_of = |shown: &Shown| shown.body.here().or_else(|| loaded.get(&shown.dot)).cloned();
    let (keys, values, previous, origins, conflicts) =
        (Array::new(), Array::new(), Array::new(), Array::new(), Array::new());
    let (local, remote) = (JsValue::from_str("local"), JsValue::from_str("remote"));
    for change in changes {
        let in_conflict = change.siblings > 1;
        let is_watched = is_watched(change, watched);
        if !in_conflict && !is_watched {
            continue;
        }
        let key = JsValue::from_str(&change.key);
        if in_conflict {
            conflicts.push(&key);
        }
        if is_watched {
            keys.push(&key);
            let value = change.value.as_ref().map(value_of);
            values.push(&value.map_or(JsValue::UNDEFINED, |value| convert::found_to_js(value.as_ref())));
            // It may be gone from the storage by now: whoever hears of it has to know that there was something.
            let before = change.previous.as_ref().map(value_of);
            previous.push(&before.map_or(JsValue::UNDEFINED, |before| convert::found_to_js(before.as_ref())));
            origins.push(match change.origin {
                Origin::Local => &local,
                Origin::Remote => &remote,
            });
        }
    }
    convert::object([
        ("event", "changed".into()),
        ("keys", keys.into()),
        ("values", values.into()),
        ("previous", previous.into()),
        ("origins", origins.into()),
        ("conflicts", conflicts.into()),
        ("size", (size as f64).into()),
    ])
}
