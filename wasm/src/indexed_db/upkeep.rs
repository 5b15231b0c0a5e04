//! Keeps Chromium from throwing a database away after it was killed within a write.
//!
//! Chromium keeps IndexedDB in LevelDB, which writes each change into a log: a few bytes that say how long it is, then the change. A browser
//! that is killed between the two leaves a record without an end. The next passes over it, as it may, and goes on behind it in the same
//! log. The one after that finds, in the middle of the log, what is no record, takes all for damaged, and makes an empty database in
//! place of all that the origin had (google/leveldb, issue 1287). It happens once in a hundred or two hundred kills of a browser that
//! writes without a pause.
//!
//! LevelDB begins a new log, and deletes the old, when 4 MiB have been written. So whoever writes much in little time says so in the
//! database, and takes that back when it rests; who opens a database that says so writes 4.5 MiB of nothing at once, which takes less than a tenth of a
//! second, and deletes them again.
//!
//! Other browsers keep databases in other ways, and none of this is done there.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::{Rc, Weak},
    time::Duration,
};

use futures_timer::Delay;
use gossipstore_net::storage::StorageError;
use js_sys::{Date, Reflect, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::IdbObjectStore;

use super::{Connection, outcome, started};

/// The object store of what is said here.
pub(super) const STORE: &str = "upkeep";

/// Under which key it is said that much is being written.
const RESTLESS: &str = "restless";

/// So many writes within a second are many: a person's are not.
const MANY: usize = 16;
const SOON_MS: f64 = 1_000.0;

/// How long nothing is written until it counts as a rest.
const REST: Duration = Duration::from_millis(1_500);

/// What is written to have LevelDB begin a new log: a little more than it takes, in records that Chromium does not put into files
/// of their own.
const FILLER_BYTES: u32 = 32 * 1024;
const FILLERS: u32 = 16;
const FILLED: u32 = 9;

/// The upkeep of an open database.
#[derive(Clone, Debug)]
pub(super) struct Upkeep(Rc<State>);

#[derive(Debug)]
struct State {
    connection: Rc<Connection>,
    /// When was written lately.
    recent: RefCell<VecDeque<f64>>,
    is_restless: Cell<bool>,
}

impl Upkeep {
    /// Of a database that was opened just now, before anything else is asked of it. None where no upkeep is needed.
    pub(super) fn begin(connection: &Rc<Connection>) -> Option<Self> {
        is_needed().then(|| {
            let state = Rc::new(State {
                connection: Rc::clone(connection),
                recent: RefCell::default(),
                is_restless: Cell::new(false),
            });
            let renewing = Rc::clone(&state);
            spawn_local(async move {
                // What does not succeed leaves things as they are, which mostly harms nobody.
                if let Err(error) = renewing.renew_if_restless().await {
                    tracing::debug!(%error, "no new log was begun");
                }
            });
            Self(state)
        })
    }

    /// Something is about to be written.
    pub(super) fn writes(&self) {
        let state = &self.0;
        let now = Date::now();
        let is_much = {
            let mut recent = state.recent.borrow_mut();
            recent.push_back(now);
            if recent.len() > MANY {
                recent.pop_front();
            }
            recent.len() == MANY && recent.front().is_some_and(|first| now - first < SOON_MS)
        };
        if is_much && !state.is_restless.replace(true) {
            state.say();
            spawn_local(until_rest(Rc::downgrade(state)));
        }
    }

    /// Nothing more is written.
    pub(super) fn end(&self) {
        self.0.rest();
    }
}

impl State {
    /// Whether much was being written when the database was last open, and not all of it may have come to an end: has a new log begun.
    async fn renew_if_restless(&self) -> Result<(), StorageError> {
        let asked = self.change("readonly", |store| store.get(&RESTLESS.into()))?;
        if outcome(asked).await?.is_undefined() {
            return Ok(());
        }
        let filler = Uint8Array::new_with_length(FILLER_BYTES);
        for round in 0..FILLED {
            let filled = self.change("readwrite", |store| {
                for n in 1..FILLERS {
                    store.put_with_key(&filler, &(round * FILLERS + n).into())?;
                }
                store.put_with_key(&filler, &(round * FILLERS).into())
            })?;
            outcome(filled).await?;
        }
        let cleared = self.change("readwrite", |store| {
            let cleared = store.clear()?;
            match self.is_restless.get() {
                true => store.put_with_key(&true.into(), &RESTLESS.into()),
                false => Ok(cleared),
            }
        })?;
        outcome(cleared).await.map(|_| ())
    }

    /// Says that much is being written, before more of it is.
    fn say(&self) {
        // Of a database that is gone there is nothing to say.
        let _ = self.change("readwrite", |store| store.put_with_key(&true.into(), &RESTLESS.into()));
    }

    fn rest(&self) {
        if self.is_restless.replace(false) {
            // As above.
            let _ = self.change("readwrite", |store| store.delete(&RESTLESS.into()));
        }
    }

    /// Asks something of the object store, in a transaction of its own. Nobody waits for the disk: a browser that is killed leaves what it has
    /// handed to the system.
    fn change<T>(
        &self,
        mode: &str,
        ask: impl FnOnce(&IdbObjectStore) -> Result<T, JsValue>,
    ) -> Result<T, StorageError> {
        let options = js_sys::Object::new();
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&options, &"durability".into(), &"relaxed".into());
        let (begun, store) = started(&self.connection.database, &STORE.into(), &mode.into(), &options)?;
        let asked = ask(&store).map_err(|error| super::failed(&error));
        begun.end();
        asked
    }
}

/// Takes back that much is written when that is over.
async fn until_rest(state: Weak<State>) {
    loop {
        Delay::new(REST).await;
        let Some(state) = state.upgrade() else { return };
        let last = state.recent.borrow().back().copied().unwrap_or_default();
        if !state.is_restless.get() {
            return;
        }
        if Date::now() - last >= REST.as_millis() as f64 {
            state.rest();
            return;
        }
    }
}

/// Whether databases here are LevelDB's. It is Chromium alone that tells when it has lost one.
fn is_needed() -> bool {
    let class = Reflect::get(&js_sys::global(), &"IDBVersionChangeEvent".into());
    let prototype = class.and_then(|class| Reflect::get(&class, &"prototype".into()));
    prototype.is_ok_and(|prototype| Reflect::has(&prototype, &"dataLoss".into()).unwrap_or(false))
}
