//! One open store, as the page holds it.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
};

use futures::StreamExt;
#[cfg(target_arch = "wasm32")]
use futures::future::{Either, select};
use gossipstore_core::{
    cache,
    id::{Home, PresenceId},
    membership::SECRET_BYTES,
    presence::News,
    replica::{Call, Command, Key, Replica, Siblings, Value},
    store::Caller,
    wire,
};
use gossipstore_net::{Early, Handle, IceServer, Invitation, Node, Options, Read, Secret, StoreError, Values};
use js_sys::{Array, Function, Promise, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};
#[cfg(target_arch = "wasm32")]
use web_sys::AbortSignal;

use crate::{
    convert,
    error::Failure,
    event,
    page::{Page, ScanOptions},
};
#[cfg(target_arch = "wasm32")]
use crate::{indexed_db::IndexedDb, listener::first_of};

/// What a store is opened with.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct OpenOptions {
    /// What the store is called on this device.
    name: String,
    /// What makes a member; without it, that of what is kept under the name, or a new one.
    secret: Option<[u8; SECRET_BYTES]>,
    /// Multiaddresses of relays; an empty list for a store that stays on this device. Without it, those that it was opened with last.
    relays: Option<Vec<String>>,
    /// Servers that help browsers to find a direct path.
    #[serde(default)]
    ice: Vec<IceServer>,
    /// The last event of the opening that this one goes on from, as [`Engine::last_event`] gave it.
    goes_on_from: Option<String>,
    /// How much of the values is in memory, where they are stored as well.
    #[serde(default)]
    cache: CacheOptions,
    /// An invitation to the store that was kept under the name, as far as this browser knows beside what is stored.
    keepsake: Option<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(rename_all = "camelCase")]
struct CacheOptions {
    max_items: Option<f64>,
    max_memory_bytes: Option<f64>,
}

impl OpenOptions {
    fn read(options: JsValue) -> Result<Options, Failure> {
        let Self {
            name,
            secret,
            relays,
            ice,
            goes_on_from,
            cache: limits,
            keepsake,
        } = serde_wasm_bindgen::from_value(options)?;
        let last = goes_on_from.and_then(|last| last.parse().ok());
        // What the facade has checked: above 0, perhaps beyond every count.
        let cache = cache::Limits::new(
            limits.max_items.map(|max| max as usize),
            limits.max_memory_bytes.map(|max| max as u64),
        );
        let cache = cache.map_err(Failure::internal)?;
        let options = Options {
            secret: secret.map(Secret::new),
            relays,
            ..Options::new(name)
        };
        // One that cannot be read is none.
        let keepsake = keepsake.and_then(|keepsake| Invitation::decode(&keepsake, 0).ok());
        Ok(options.ice(ice).goes_on_from(last).cache(cache).keepsake(keepsake))
    }
}

/// The bounds that core sets on what is written, so that the facade refuses before it sends and cuts batches to fit.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Limits {
    key_bytes: usize,
    transaction_writes: usize,
    presence_bytes: usize,
}

/// See [`Limits`].
#[wasm_bindgen]
pub fn limits() -> Result<JsValue, Failure> {
    let limits = Limits {
        key_bytes: wire::KEY_BYTES_MAX,
        transaction_writes: wire::TXN_EVENTS_MAX,
        presence_bytes: wire::PRESENCE_BYTES_MAX,
    };
    Ok(serde_wasm_bindgen::to_value(&limits)?)
}

/// One open store: its replica and its node, which runs as a task of the page until [`Engine::close`].
///
/// One that is kept is there as soon as single keys can be read ([`Engine::glimpse`]); until [`Engine::loaded`] resolves, nothing else
/// can be asked of it but how much there is.
///
/// Methods that return a promise have handed their change in when they return: a read that follows sees it. The promise
/// resolves when the change is durable, and rejects with an `Error` that has a `code`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Engine {
    /// Once it is loaded.
    handle: Rc<OnceCell<Handle>>,
    loading: Option<Loading>,
    /// Under which prefixes changes cross with their values.
    watched: Rc<RefCell<Vec<String>>>,
    /// What became of what was stored before.
    lost: Option<String>,
}

/// A store that is still being loaded.
#[derive(Debug)]
struct Loading {
    /// As long as it is.
    early: Rc<RefCell<Option<Rc<Early>>>>,
    /// Resolves when it is.
    done: Promise,
    /// Whether another tab has taken it over meanwhile.
    is_over: Rc<Cell<bool>>,
}

#[wasm_bindgen]
impl Engine {
    /// Opens a store that keeps nothing and starts its node. `listener` is called with each event; see `ts/host.ts` for their shapes.
    pub fn open(options: JsValue, listener: Function) -> Result<Engine, Failure> {
        let (node, handle) = gossipstore_net::open(OpenOptions::read(options)?)?;
        Ok(Self::start(node, handle, listener, None))
    }

    fn start(node: Node, handle: Handle, listener: Function, lost: Option<String>) -> Self {
        let watched = Rc::default();
        run(node, &handle, &watched, listener);
        Self {
            handle: Rc::new(handle.into()),
            loading: None,
            watched,
            lost,
        }
    }

    fn early(&self) -> Option<Rc<Early>> {
        self.loading.as_ref()?.early.borrow().clone()
    }

    fn handle(&self) -> Result<&Handle, Failure> {
        let unloaded = || Failure::internal("a store was used before it was loaded");
        self.handle.get().ok_or_else(unloaded)
    }

    fn read<T>(&self, read: impl FnOnce(&Replica) -> T) -> Result<T, Failure> {
        Ok(self.handle()?.read(read))
    }

    /// Resolves when all is loaded; `undefined` when it was from the beginning. Rejects when what is stored cannot be read.
    #[wasm_bindgen(getter)]
    pub fn loaded(&self) -> Option<Promise> {
        self.loading.as_ref().map(|loading| loading.done.clone())
    }

    /// What a key reads, as long as nothing was written: bytes, or `undefined`.
    pub fn glimpse(&self, key: String) -> Result<Promise, Failure> {
        let key = convert::checked(key)?;
        let early = self
            .early()
            .ok_or_else(|| Failure::internal("there is no glimpse of what is loaded"))?;
        Ok(future_to_promise(async move {
            let value = early.get(&key).await.map_err(Failure::from)?;
            Ok(convert::optional_to_js(value.as_ref()))
        }))
    }

    /// From now on changes cross with what keys read now and before if they are under one of these prefixes; others are
    /// only counted.
    pub fn watch(&self, prefixes: Vec<String>) {
        *self.watched.borrow_mut() = prefixes;
    }

    /// Makes all the writes one transaction. Columns of one length: keys; values, `null` for a deletion, a number for an addition to a
    /// counter; contexts, `undefined` for what is there now.
    ///
    /// A caller that is to make the same call again, should this page end before it has answered, gives its number and that of the call.
    pub fn transact(
        &self,
        keys: &Array,
        values: &Array,
        contexts: Option<Array>,
        caller: Option<f64>,
        n: Option<f64>,
    ) -> Result<Promise, Failure> {
        let writes = convert::writes(keys, values, contexts.as_ref())?;
        self.command(Command::Transact(writes), caller, n)
    }

    /// As [`Engine::transact`], with all values in one piece of memory: the length of each, below 0 for a deletion.
    #[wasm_bindgen(js_name = transactPacked)]
    pub fn transact_packed(
        &self,
        keys: &Array,
        bytes: &[u8],
        lengths: &[i32],
        caller: Option<f64>,
        n: Option<f64>,
    ) -> Result<Promise, Failure> {
        let writes = convert::packed_writes(keys, bytes, lengths)?;
        self.command(Command::Transact(writes), caller, n)
    }

    /// Deletes every key. As [`Engine::transact`] in everything else.
    pub fn clear(&self, caller: Option<f64>, n: Option<f64>) -> Result<Promise, Failure> {
        self.command(Command::Clear, caller, n)
    }

    fn command(&self, command: Command, caller: Option<f64>, n: Option<f64>) -> Result<Promise, Failure> {
        let handle = self.handle()?;
        // Both are integers that JavaScript holds exactly.
        Ok(match caller.zip(n) {
            Some((caller, n)) => {
                let (caller, n) = (Caller(caller as u64), n as u64);
                settle(handle.call(Call { caller, n }, command))
            }
            None => settle(handle.command(command)),
        })
    }

    /// What a key reads: bytes, or `undefined`; `null` if the storage has lost it. A promise of that, if it has to be read from there.
    pub fn get(&self, key: String) -> Result<JsValue, Failure> {
        let key = convert::checked(key)?;
        let read = self
            .handle()?
            .read_values(move |replica, values| value_of(replica, values, &key));
        Ok(answer(read, read_to_js))
    }

    /// Whether a key has a value.
    pub fn has(&self, key: String) -> Result<bool, Failure> {
        let key = convert::checked(key)?;
        self.read(|replica| replica.get(&key).is_some())
    }

    /// What the keys read: as [`Engine::get`], in one array. All of one moment.
    #[wasm_bindgen(js_name = getMany)]
    pub fn get_many(&self, keys: &Array) -> Result<JsValue, Failure> {
        let keys = convert::keys(keys)?;
        let read = self.handle()?.read_values(move |replica, values| {
            let read = keys.iter().map(|key| value_of(replica, values, key));
            read.collect::<Vec<_>>()
        });
        Ok(answer(read, |read| {
            read.into_iter().map(read_to_js).collect::<Array>().into()
        }))
    }

    /// All concurrent values of a key, the winner first, and the context that supersedes them. Values as by [`Engine::get`].
    pub fn siblings(&self, key: String) -> Result<JsValue, Failure> {
        let key = convert::checked(key)?;
        let read = self.handle()?.read_values(move |replica, values| {
            let siblings = replica.siblings(&key);
            let read = siblings.values.iter();
            let read = read
                .map(|sibling| values.of(sibling.dot, &key, &sibling.body))
                .collect();
            (siblings, read)
        });
        Ok(answer(read, |(siblings, read): (Siblings, Vec<_>)| {
            let values = siblings.values.iter().zip(&read).map(|(sibling, value)| {
                convert::object([
                    ("value", convert::found_to_js(value.as_ref())),
                    ("replica", sibling.dot.author.to_string().into()),
                    ("time", (sibling.time.timestamp().0 as f64).into()),
                ])
            });
            let values: Array = values.collect();
            let context = Uint8Array::from(&siblings.context.encode()[..]);
            convert::object([("values", values.into()), ("context", context.into())])
        }))
    }

    /// The next keys of a range, with their values if wanted, and the key after which the range goes on, if it does. Values as by
    /// [`Engine::get`].
    pub fn scan(&self, options: JsValue) -> Result<JsValue, Failure> {
        let options: ScanOptions = serde_wasm_bindgen::from_value(options)?;
        let read = self
            .handle()?
            .read_values(move |replica, values| options.page(replica, values));
        Ok(answer(read, |Page { keys, values, next }| {
            let keys: Array = keys.iter().map(|key| JsValue::from_str(key)).collect();
            let values: Array = values
                .iter()
                .map(|value| convert::found_to_js(value.as_ref()))
                .collect();
            let next = next.map_or(JsValue::UNDEFINED, |next| JsValue::from_str(&next));
            convert::object([("keys", keys.into()), ("values", values.into()), ("next", next)])
        }))
    }

    /// All that the store holds, as the bytes of a file.
    #[wasm_bindgen(js_name = exportFile)]
    pub fn export_file(&self) -> Result<Promise, Failure> {
        let exported = self.handle()?.export();
        Ok(future_to_promise(async move {
            let file = exported.await.map_err(Failure::from)?;
            Ok(Uint8Array::from(&file[..]).into())
        }))
    }

    /// Takes in all that a file holds, as if a peer had brought it. Resolves when it is durable.
    #[wasm_bindgen(js_name = importFile)]
    pub fn import_file(&self, file: &[u8]) -> Result<Promise, Failure> {
        let imported = self.handle()?.import(file);
        Ok(future_to_promise(async move {
            imported.await.map_err(Failure::from)?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// A tab says something of itself, or that it leaves.
    pub fn present(&self, id: &str, value: Option<Vec<u8>>) -> Result<(), Failure> {
        Ok(self.handle()?.present(presence_id(id)?, value.map(Value::from))?)
    }

    /// Who was present a moment ago, by what another tab knew. Columns of one length. `former`: the home of the tab that led before.
    pub fn recall(&self, ids: Vec<String>, values: Vec<Uint8Array>, former: Option<String>) -> Result<(), Failure> {
        let presences = ids.iter().zip(values);
        let presences = presences.map(|(id, value)| Ok((presence_id(id)?, Value::from(value.to_vec()))));
        let former = former.and_then(|former| former.parse().ok()).map(Home);
        Ok(self
            .handle()?
            .recall(presences.collect::<Result<_, Failure>>()?, former)?)
    }

    /// Who is present, and of those what reads differently than when this was asked with that result: `since` is its `changes`, or 0.
    pub fn presences(&self, since: f64) -> Result<JsValue, Failure> {
        let News {
            changes,
            present,
            changed,
        } = self.handle()?.presences(since as u64);
        let present: Array = present.iter().map(|id| JsValue::from(id.to_string())).collect();
        let changed = changed.into_iter().map(|(id, value)| {
            let pair = [JsValue::from(id.to_string()), Uint8Array::from(&value[..]).into()];
            JsValue::from(pair.into_iter().collect::<Array>())
        });
        let home = self.read(|replica| replica.presences().home())?;
        Ok(convert::object([
            ("home", home.0.to_string().into()),
            ("changes", (changes as f64).into()),
            ("present", present.into()),
            ("changed", changed.collect::<Array>().into()),
        ]))
    }

    /// How many keys have a value.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> usize {
        match (self.handle.get(), self.early()) {
            (Some(handle), _) => handle.read(Replica::len),
            (None, early) => early.map_or(0, |early| early.totals().keys),
        }
    }

    /// What became of what was stored before, if it is gone.
    #[wasm_bindgen(getter)]
    pub fn lost(&self) -> Option<String> {
        self.lost.clone()
    }

    /// What the store is called among its members, in hexadecimal.
    #[wasm_bindgen(getter)]
    pub fn store(&self) -> Result<String, Failure> {
        Ok(match self.early() {
            Some(early) => early.store(),
            None => self.handle()?.store(),
        }
        .to_string())
    }

    /// An invitation, which expires at a time in seconds since 1970, if at all.
    pub fn invite(&self, expires: Option<f64>) -> Result<String, Failure> {
        Ok(self.handle()?.invite(expires.map(|at| at as u64))?)
    }

    /// Where the data is, who is connected, and why not.
    pub fn status(&self) -> Result<JsValue, Failure> {
        let status = match self.early() {
            Some(early) => early.status(),
            None => self.handle()?.status(),
        };
        Ok(serde_wasm_bindgen::to_value(&status)?)
    }

    /// The browser says that the network is back.
    #[wasm_bindgen(js_name = networkChanged)]
    pub fn network_changed(&self) {
        if let Some(handle) = self.handle.get() {
            handle.network_changed();
        }
    }

    /// From which event the next opening may go on, once this one is closed.
    #[wasm_bindgen(js_name = lastEvent)]
    pub fn last_event(&self) -> Option<String> {
        self.handle.get()?.last_event().map(|last| last.to_string())
    }

    /// Another tab has taken the store over: ends at once, without a word. What waits fails with `Superseded`.
    pub fn supersede(&self) {
        match (&self.loading, self.handle.get()) {
            (_, Some(handle)) => handle.supersede(),
            (Some(loading), None) => loading.is_over.set(true),
            (None, None) => {}
        }
    }

    /// Leaves the network. Later writes fail with `Closed`; the listener hears nothing more.
    pub fn close(&self) -> Result<Promise, Failure> {
        let closed = self.handle()?.close();
        Ok(future_to_promise(async move {
            closed.await;
            Ok(JsValue::UNDEFINED)
        }))
    }
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen]
impl Engine {
    /// Opens a store that is kept in IndexedDB, as [`Engine::open`], or begins to. Only one at a time may have it open; with `takesOver`, whoever had it
    /// open before cannot write any more. When `superseded` is aborted before this is done, it is given up where it stands and fails.
    #[wasm_bindgen(js_name = openStored)]
    pub async fn open_stored(
        options: JsValue,
        #[wasm_bindgen(js_name = takesOver)] takes_over: bool,
        superseded: AbortSignal,
        listener: Function,
    ) -> Result<Engine, Failure> {
        let options = OpenOptions::read(options)?.takes_over(takes_over);
        let (aborted, _listener) = first_of(&superseded, ["abort"]);
        // This takes nothing from anybody, and half of it would be left open.
        let storage = IndexedDb::open(&options.name).await?;
        if superseded.aborted() {
            return Err(StoreError::Superseded.into());
        }
        // A tab that waits for the disk must not take it from the one that has it by then.
        let opening = Self::open_on(storage, options, listener);
        match select(std::pin::pin!(opening), aborted).await {
            Either::Left((opened, _)) => opened,
            Either::Right(_) => Err(StoreError::Superseded.into()),
        }
    }
}

#[cfg(target_arch = "wasm32")]
impl Engine {
    async fn open_on(storage: IndexedDb, options: Options, listener: Function) -> Result<Engine, Failure> {
        let (birth, keepsake) = (storage.birth().cloned(), options.keepsake.clone());
        let mut opening = gossipstore_net::Opening::begin(options, storage).await?;
        let remembered = keepsake.filter(|keepsake| keepsake.secret.store() == opening.store());
        let lost = opening
            .is_new()
            .then(|| lost(birth.as_ref(), remembered.is_some()))
            .flatten();
        let Some(early) = opening.early() else {
            let (node, handle) = opening.finish().await?;
            return Ok(Self::start(node, handle, listener, lost));
        };
        let (loaded, watched, is_over) = (Rc::new(OnceCell::new()), Rc::default(), Rc::new(Cell::new(false)));
        let early = Rc::new(RefCell::new(Some(Rc::new(early))));
        let done = {
            let (loaded, watched, is_over) = (Rc::clone(&loaded), Rc::clone(&watched), Rc::clone(&is_over));
            let early = Rc::clone(&early);
            future_to_promise(async move {
                let (node, handle) = opening.finish().await.map_err(Failure::from)?;
                if !is_over.get() {
                    run(node, &handle, &watched, listener);
                }
                // It is loaded once.
                let _ = loaded.set(handle);
                *early.borrow_mut() = None;
                Ok(JsValue::UNDEFINED)
            })
        };
        Ok(Self {
            handle: loaded,
            loading: Some(Loading { early, done, is_over }),
            watched,
            lost,
        })
    }
}

/// What became of what was stored, where nothing is any more; `is_same` says whether it is the store that was there.
#[cfg(target_arch = "wasm32")]
fn lost(birth: Option<&crate::indexed_db::Birth>, is_same: bool) -> Option<String> {
    let reason = match birth.and_then(|birth| birth.lost.as_ref()) {
        Some(reason) => format!("the browser found its files damaged and has thrown them away ({reason})"),
        None if is_same => "it was deleted, by the browser for lack of room or by somebody".into(),
        // There was nothing, as far as anybody knows.
        None => return None,
    };
    let remedy = if is_same {
        "what other members have comes back as they are met"
    } else {
        "this is a new store of that name, so join the others again by an invitation"
    };
    Some(format!("{reason}; {remedy}"))
}

/// Has a node run, and its events told.
fn run(node: Node, handle: &Handle, watched: &Rc<RefCell<Vec<String>>>, listener: Function) {
    // Before the node, so that its first event is heard.
    let mut events = handle.events();
    let (handle, watched) = (handle.clone(), Rc::clone(watched));
    spawn_local(async move {
        while let Some(event) = events.next().await {
            // As of now: who begins to watch meanwhile reads what the event has changed.
            let watched = watched.borrow().clone();
            let loaded = event::load(&event, &watched, &handle).await;
            let event = event::to_js(event, &watched, &loaded, &handle);
            // A listener that throws is a defect of the facade; the next event matters more.
            let _ = listener.call1(&JsValue::UNDEFINED, &event);
        }
    });
    spawn_local(node.run());
}

fn presence_id(id: &str) -> Result<PresenceId, Failure> {
    id.parse()
        .map_err(|_| Failure::internal(format!("`{id}` names no tab")))
}

/// What a key reads, if it has a value; within that, nothing if the storage has lost it.
fn value_of(replica: &Replica, values: &mut Values, key: &Key) -> Option<Option<Value>> {
    let (dot, body) = replica.winner(key)?;
    Some(values.of(dot, key, body))
}

fn read_to_js(read: Option<Option<Value>>) -> JsValue {
    read.map_or(JsValue::UNDEFINED, |value| convert::found_to_js(value.as_ref()))
}

/// What was read, or a promise of it.
fn answer<T: 'static>(read: Read<T>, to_js: impl FnOnce(T) -> JsValue + 'static) -> JsValue {
    match read {
        Read::Now(read) => to_js(read),
        later @ Read::Later(_) => future_to_promise(async move {
            let read = later
                .whole()
                .await
                .map_err(|error| Failure::from(StoreError::from(error)))?;
            Ok(to_js(read))
        })
        .into(),
    }
}

/// A change's promise.
fn settle(done: impl Future<Output = Result<(), StoreError>> + 'static) -> Promise {
    future_to_promise(async move {
        done.await.map_err(Failure::from)?;
        Ok(JsValue::UNDEFINED)
    })
}
