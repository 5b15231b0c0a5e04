//! Keeps Chromium from throwing all databases of an origin away after it was killed within a write.
//!
//! Chromium keeps IndexedDB in LevelDB, which writes each change into a log: a few bytes that say how long it is, then the change. A browser
//! that is killed between the two leaves a record without an end. The next passes over it, as it may, and goes on behind it in the same
//! log. The one after that finds, in the middle of the log, what is no record, takes all for damaged, and makes an empty database in
//! place of all that the origin had (google/leveldb, issue 1287). It happens once in a hundred or two hundred kills of a browser that
//! writes without a pause.
//!
//! LevelDB begins a new log, and deletes the old, when 4 MiB have been written. So whoever writes much in little time says so, in a database
//! that all stores of the origin share as they share the log, and takes that back when it rests. Who opens a store and finds that
//! somebody has said so writes 4.5 MiB of nothing at once, which takes less than a tenth of a second, and deletes them again.
//!
//! Other browsers keep databases in other ways, and none of this is done there.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Duration,
};

use futures_timer::Delay;
use gossipstore_net::storage::StorageError;
use js_sys::{Array, Date, Math, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{IdbDatabase, IdbObjectStore};

use super::{durability, failed, opening, outcome, started};

/// The database, which no store's can be called, and its object store. In it are the marks of those who write much, each under a name
/// drawn at random, and now and then what is written for its length.
const DATABASE: &str = "gossipstore";
const MARKS: &str = "upkeep";

/// So many writes in a row are many, each begun so soon after the one before: what a person does now and then is not, and a disk that takes
/// longer is seldom met within one.
const MANY: u32 = 16;
const SOON_MS: f64 = 250.0;

/// How long nothing is written until it counts as a rest.
const REST: Duration = Duration::from_millis(1_500);

/// What is written to have LevelDB begin a new log: a little more than it takes, in records that Chromium does not put into files
/// of their own.
const FILLER_BYTES: u32 = 32 * 1024;
const FILLERS: u32 = 16;
const FILLED: u32 = 9;

/// The upkeep of the databases, for one store that writes.
#[derive(Debug)]
pub(super) struct Upkeep(Rc<State>);

#[derive(Debug)]
struct State {
    /// Once it is open.
    shared: RefCell<Option<Shared>>,
    mark: String,
    /// When was written last.
    last: Cell<f64>,
    /// How many writes that ends in a row.
    row: Cell<u32>,
    is_restless: Cell<bool>,
}

/// The database that all share.
#[derive(Debug)]
struct Shared {
    database: IdbDatabase,
    /// Hears that somebody wants to delete it, and closes it.
    _given_up: Closure<dyn FnMut()>,
}

impl Upkeep {
    /// None where no upkeep is needed.
    pub(super) fn begin() -> Option<Self> {
        is_needed().then(|| {
            let state = Rc::new(State {
                shared: RefCell::default(),
                mark: format!("{:x}", (Math::random() * (1_u64 << 52) as f64) as u64),
                last: Cell::default(),
                row: Cell::default(),
                is_restless: Cell::new(false),
            });
            let waiting = Rc::downgrade(&state);
            spawn_local(async move {
                // What does not succeed leaves things as they are, which mostly harms nobody.
                if let Err(error) = prepare(waiting).await {
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
        let is_soon = now - state.last.replace(now) < SOON_MS;
        state
            .row
            .set(if is_soon { state.row.get().saturating_add(1) } else { 1 });
        if state.row.get() >= MANY && !state.is_restless.replace(true) {
            state.say();
            spawn_local(until_rest(Rc::downgrade(state)));
        }
    }
}

impl Drop for Upkeep {
    /// Nothing more is written.
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// Opens the database, and has a new log begun if somebody was writing much when the browser ended, as far as is known.
async fn prepare(state: Weak<State>) -> Result<(), StorageError> {
    let database = opening::open(DATABASE, MARKS).await?.database;
    let Some(state) = state.upgrade() else {
        database.close();
        return Ok(());
    };
    let given_up = {
        let database = database.clone();
        Closure::<dyn FnMut()>::new(move || database.close())
    };
    database.set_onversionchange(Some(given_up.as_ref().unchecked_ref()));
    *state.shared.borrow_mut() = Some(Shared {
        database,
        _given_up: given_up,
    });
    let asked = state.ask("readonly", IdbObjectStore::get_all_keys)?;
    if state.is_restless.get() {
        state.say();
    }
    let marks = Array::from(&outcome(asked).await?);
    if marks.length() == 0 {
        return Ok(());
    }
    let filler = Uint8Array::new_with_length(FILLER_BYTES);
    for round in 0..FILLED {
        let filled = state.ask("readwrite", |store| {
            for n in round * FILLERS..(round + 1) * FILLERS {
                store.put_with_key(&filler, &n.into())?;
            }
            // It is answered after them.
            store.count()
        })?;
        outcome(filled).await?;
    }
    // Whoever is writing much at this moment says so again.
    state.ask("readwrite", |store| {
        let fillers = (0..FILLED * FILLERS).map(JsValue::from);
        fillers
            .chain(marks.iter())
            .try_for_each(|key| store.delete(&key).map(|_| ()))
    })
}

/// Says that much is written for as long as it is, and takes it back.
async fn until_rest(state: Weak<State>) {
    loop {
        Delay::new(REST).await;
        let Some(state) = state.upgrade().filter(|state| state.is_restless.get()) else {
            return;
        };
        if Date::now() - state.last.get() >= REST.as_millis() as f64 {
            state.rest();
            return;
        }
        state.say();
    }
}

impl State {
    /// Says that much is being written, before more of it is.
    fn say(&self) {
        // Of a database that is gone there is nothing to say.
        let _ = self.ask("readwrite", |store| {
            store.put_with_key(&true.into(), &(&*self.mark).into()).map(|_| ())
        });
    }

    fn rest(&self) {
        if self.is_restless.replace(false) {
            // As above.
            let _ = self.ask("readwrite", |store| store.delete(&(&*self.mark).into()).map(|_| ()));
        }
    }

    /// Asks something of the object store, in a transaction of its own. Nobody waits for the disk: a browser that is killed leaves what it has
    /// handed to the system.
    fn ask<T>(&self, mode: &str, ask: impl FnOnce(&IdbObjectStore) -> Result<T, JsValue>) -> Result<T, StorageError> {
        let shared = self.shared.borrow();
        let Some(Shared { database, .. }) = &*shared else {
            let reason = "it is not open yet".into();
            return Err(StorageError::Failed { reason });
        };
        let (begun, store) = started(database, &MARKS.into(), &mode.into(), &durability("relaxed"))?;
        let asked = ask(&store).map_err(|error| failed(&error));
        begun.end();
        asked
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.database.set_onversionchange(None);
        // When what was asked of it is done.
        self.database.close();
    }
}

/// Whether databases here are LevelDB's. It is Chromium alone that tells when it has lost one.
fn is_needed() -> bool {
    let class = Reflect::get(&js_sys::global(), &"IDBVersionChangeEvent".into());
    let prototype = class.and_then(|class| Reflect::get(&class, &"prototype".into()));
    prototype.is_ok_and(|prototype| Reflect::has(&prototype, &"dataLoss".into()).unwrap_or(false))
}
