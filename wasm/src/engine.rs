//! One open store, as the page holds it.

use std::{cell::RefCell, rc::Rc};

use futures::StreamExt;
use gossipstore_core::{
    replica::{Item, Replica, Scan},
    wire,
};
use gossipstore_net::{Handle, IceServer, Options, StoreError};
use js_sys::{Array, Function, Promise};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

use crate::{
    convert,
    error::Failure,
    event,
    page::{self, Wanted},
};

/// What a store is opened with.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct OpenOptions {
    /// Everybody who opens the same name shares the store.
    name: String,
    /// Multiaddresses of relays; none for a store that stays on this device.
    relays: Vec<String>,
    /// Servers that help browsers to find a direct path.
    #[serde(default)]
    ice: Vec<IceServer>,
}

/// A range of keys and what of it should cross.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct ScanOptions {
    prefix: Option<String>,
    gte: Option<String>,
    gt: Option<String>,
    lte: Option<String>,
    lt: Option<String>,
    #[serde(default)]
    reverse: bool,
    limit: Option<u32>,
    /// Whether values cross as well as keys.
    values: bool,
    /// Only keys that hold concurrent values.
    #[serde(default)]
    conflicts: bool,
}

/// The bounds that core sets on what is written, so that the facade refuses before it sends and cuts batches to fit.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Limits {
    key_bytes: usize,
    transaction_writes: usize,
}

/// See [`Limits`].
#[wasm_bindgen]
pub fn limits() -> Result<JsValue, Failure> {
    let limits = Limits {
        key_bytes: wire::KEY_BYTES_MAX,
        transaction_writes: wire::TXN_EVENTS_MAX,
    };
    Ok(serde_wasm_bindgen::to_value(&limits)?)
}

/// One open store: its replica and its node, which runs as a task of the page until [`Engine::close`].
///
/// Methods that return a promise have handed their change in when they return: a read that follows sees it. The promise
/// resolves when the change is durable, and rejects with an `Error` that has a `code`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    /// Under which prefixes changes cross with their values.
    watched: Rc<RefCell<Vec<String>>>,
}

#[wasm_bindgen]
impl Engine {
    /// Opens a store and starts its node. `listener` is called with each event; see `ts/host.ts` for their shapes.
    pub fn open(options: JsValue, listener: Function) -> Result<Engine, Failure> {
        let OpenOptions { name, relays, ice } = serde_wasm_bindgen::from_value(options)?;
        let (node, handle) = gossipstore_net::open(Options::new(name).relays(relays).ice(ice))?;
        let engine = Self {
            handle,
            watched: Rc::default(),
        };
        // Before the node, so that its first event is heard.
        engine.tell(listener);
        spawn_local(node.run());
        Ok(engine)
    }

    fn tell(&self, listener: Function) {
        let mut events = self.handle.events();
        let (handle, watched) = (self.handle.clone(), self.watched.clone());
        spawn_local(async move {
            while let Some(event) = events.next().await {
                let event = event::to_js(event, &watched.borrow(), &handle);
                // A listener that throws is a defect of the facade; the next event matters more.
                let _ = listener.call1(&JsValue::UNDEFINED, &event);
            }
        });
    }

    /// From now on changes cross with what keys read now and before if they are under one of these prefixes; others are
    /// only counted.
    pub fn watch(&self, prefixes: Vec<String>) {
        *self.watched.borrow_mut() = prefixes;
    }

    /// Makes all the writes one transaction. Columns of one length: keys; values, `null` for a deletion, a number for an addition to a
    /// counter; contexts, `undefined` for what is there now.
    pub fn transact(&self, keys: &Array, values: &Array, contexts: Option<Array>) -> Result<Promise, Failure> {
        let writes = convert::writes(keys, values, contexts.as_ref())?;
        Ok(settle(self.handle.transact(writes)))
    }

    /// Deletes every key.
    pub fn clear(&self) -> Promise {
        settle(self.handle.clear())
    }

    /// What a key reads: bytes, or `undefined`.
    pub fn get(&self, key: String) -> Result<JsValue, Failure> {
        let key = convert::checked(key)?;
        Ok(self.handle.read(|replica| convert::optional_to_js(replica.get(&key))))
    }

    /// Whether a key has a value.
    pub fn has(&self, key: String) -> Result<bool, Failure> {
        let key = convert::checked(key)?;
        Ok(self.handle.read(|replica| replica.get(&key).is_some()))
    }

    /// What the keys read: bytes, or `undefined`. All of one moment.
    #[wasm_bindgen(js_name = getMany)]
    pub fn get_many(&self, keys: &Array) -> Result<Array, Failure> {
        let keys = convert::keys(keys)?;
        Ok(self.handle.read(|replica| {
            keys.iter()
                .map(|key| convert::optional_to_js(replica.get(key)))
                .collect()
        }))
    }

    /// All concurrent values of a key, the winner first, and the context that supersedes them.
    pub fn siblings(&self, key: String) -> Result<JsValue, Failure> {
        let key = convert::checked(key)?;
        let siblings = self.handle.read(|replica| replica.siblings(&key));
        let values: Array = siblings
            .values
            .iter()
            .map(|sibling| {
                convert::object([
                    ("value", convert::to_js(&sibling.value)),
                    ("replica", sibling.author.to_string().into()),
                    ("time", (sibling.time.timestamp().0 as f64).into()),
                ])
            })
            .collect();
        let context = js_sys::Uint8Array::from(&siblings.context.encode()[..]);
        Ok(convert::object([
            ("values", values.into()),
            ("context", context.into()),
        ]))
    }

    /// The next keys of a range, with their values if wanted, and the key after which the range goes on, if it does.
    pub fn scan(&self, options: JsValue) -> Result<JsValue, Failure> {
        let options: ScanOptions = serde_wasm_bindgen::from_value(options)?;
        let scan = Scan {
            prefix: options.prefix.as_deref().unwrap_or_default(),
            gte: options.gte.as_deref(),
            gt: options.gt.as_deref(),
            lte: options.lte.as_deref(),
            lt: options.lt.as_deref(),
            reverse: options.reverse,
        };
        let wanted = Wanted {
            limit: options.limit.map_or(usize::MAX, |limit| limit as usize),
            values: options.values,
            conflicts: options.conflicts,
        };
        self.handle.read(|replica| {
            let (items, next) = page::cut(replica.scan(&scan), wanted);
            let keys: Array = items
                .iter()
                .map(|item: &Item<'_>| JsValue::from_str(item.key))
                .collect();
            let values: Array = items
                .iter()
                .filter(|_| wanted.values)
                .map(|item| convert::to_js(item.value))
                .collect();
            let next = next.map_or(JsValue::UNDEFINED, JsValue::from_str);
            Ok(convert::object([
                ("keys", keys.into()),
                ("values", values.into()),
                ("next", next),
            ]))
        })
    }

    /// How many keys have a value.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        self.handle.read(Replica::len)
    }

    /// Where the data is, who is connected, and why not.
    pub fn status(&self) -> Result<JsValue, Failure> {
        Ok(serde_wasm_bindgen::to_value(&self.handle.status())?)
    }

    /// The browser says that the network is back.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&self) {
        self.handle.network_changed();
    }

    /// Leaves the network. Later writes fail with `Closed`; the listener hears nothing more.
    pub fn close(&self) -> Promise {
        let closed = self.handle.close();
        future_to_promise(async move {
            closed.await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// A change's promise.
fn settle(done: impl Future<Output = Result<(), StoreError>> + 'static) -> Promise {
    future_to_promise(async move {
        done.await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    })
}
