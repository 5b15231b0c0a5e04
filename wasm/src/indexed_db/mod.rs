//! A storage in the browser's IndexedDB: one database a store, with the records under binary keys in one object store. What Chromium needs so
//! as not to lose it is in a database that all stores share (`upkeep`).
//!
//! The guard of a transaction is a record that is added, not put: that fails where one stands already, and the whole transaction with it.
//! Nothing of a transaction waits for an answer, unless it is long (`writing`): it is told to commit as soon as all is asked. So a tab that is
//! frozen, or that the browser is closing, leaves none open behind which others would wait.
//!
//! Transactions that write are asked to be strict: they are done when the disk has them, not when the system promises to write them.

mod opening;
mod upkeep;
mod writing;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use futures::{channel::oneshot, future::try_join};
use gossipstore_core::disk::Transaction;
use gossipstore_net::{
    StorageKind,
    storage::{Pending, READ_BYTES, Record, Storage, StorageError, StorageReader},
};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    DomException, IdbCursorDirection, IdbCursorWithValue, IdbDatabase, IdbFactory, IdbKeyRange, IdbObjectStore,
    IdbOpenDbRequest, IdbRequest, IdbTransaction,
};

pub use self::opening::Birth;
use self::{opening::Opened, upkeep::Upkeep, writing::Writing};
use crate::listener::first_of;

/// The object store of the records.
const RECORDS: &str = "records";

/// How many records are read in one call: at first, since nobody knows how long they are and what comes first is waited for, and at most.
const READ_FIRST: usize = 8;
const READ_MAX: usize = 512;

/// What web-sys has only behind a flag for unstable interfaces (all browsers have it since 2024, and older ones pass over the options), and
/// what it takes text for that would be decoded anew with each write.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = IdbDatabase)]
    type Database;

    #[wasm_bindgen(method, catch, js_name = transaction)]
    fn transact(this: &Database, stores: &JsValue, mode: &JsValue, options: &JsValue) -> Result<Begun, JsValue>;

    #[wasm_bindgen(extends = IdbTransaction)]
    #[derive(Clone, Debug)]
    type Begun;

    #[wasm_bindgen(method, catch, js_name = objectStore)]
    fn object_store(this: &Begun, name: &JsValue) -> Result<IdbObjectStore, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn commit(this: &Begun) -> Result<(), JsValue>;
}

impl Begun {
    /// Has it end without this page, whatever becomes of that, now that all is asked.
    fn end(&self) {
        // Older browsers end a transaction by themselves.
        let _ = self.commit();
    }
}

/// One store's database. While it is open the browser does not keep others from opening it: who writes is agreed on elsewhere.
#[derive(Debug)]
pub struct IndexedDb {
    records: Records,
    /// How many records to read in the next call.
    count: Rc<Cell<usize>>,
    endings: Endings,
    upkeep: Option<Upkeep>,
    birth: Option<Birth>,
}

/// An open database, which is closed with the last that reads from it: a value may be on its way when its store is closed.
#[derive(Debug)]
struct Connection {
    database: IdbDatabase,
    /// Hear that the browser has closed it.
    _listeners: [Closure<dyn FnMut()>; 2],
}

/// The object store of an open database.
#[derive(Clone, Debug)]
struct Records {
    connection: Rc<Connection>,
    /// What each transaction is begun with.
    stores: JsValue,
    reading: JsValue,
    writing: JsValue,
    strictly: JsValue,
    /// Why the browser has closed it, if it has.
    gone: Rc<RefCell<Gone>>,
}

/// Whether the browser has closed a database, and whom to tell.
#[derive(Debug, Default)]
struct Gone {
    reason: Option<String>,
    tell: Option<oneshot::Sender<String>>,
}

impl IndexedDb {
    /// The name of a store's database.
    pub fn name_of(store: &str) -> String {
        format!("gossipstore/{store}")
    }

    /// Opens the database of a store, or makes it.
    ///
    /// # Errors
    /// When there is no IndexedDB here, or the browser refuses it.
    pub async fn open(store: &str) -> Result<Self, StorageError> {
        let Opened { database, birth } = opening::open(&Self::name_of(store), RECORDS).await?;
        let gone = Rc::new(RefCell::new(Gone::default()));
        let note = |why: &'static str| {
            let (gone, database) = (Rc::clone(&gone), database.clone());
            Closure::<dyn FnMut()>::new(move || {
                let Gone { reason, tell } = &mut *gone.borrow_mut();
                reason.get_or_insert_with(|| why.to_owned());
                if let Some(tell) = tell.take() {
                    // Nobody listens any more, if that fails.
                    let _ = tell.send(why.to_owned());
                }
                database.close();
            })
        };
        let closed = note("the browser has closed the database; was the site's data deleted?");
        let superseded = note("the database is being deleted or made anew elsewhere");
        database.set_onclose(Some(closed.as_ref().unchecked_ref()));
        // Who would delete it waits until nobody has it open.
        database.set_onversionchange(Some(superseded.as_ref().unchecked_ref()));
        let connection = Rc::new(Connection {
            database,
            _listeners: [closed, superseded],
        });
        Ok(Self {
            upkeep: Upkeep::begin(),
            birth,
            records: Records {
                connection,
                stores: RECORDS.into(),
                reading: "readonly".into(),
                writing: "readwrite".into(),
                strictly: durability("strict"),
                gone,
            },
            count: Rc::new(Cell::new(READ_FIRST)),
            endings: Endings::new(),
        })
    }

    /// Whether there was no database, and what became of the one before.
    pub fn birth(&self) -> Option<&Birth> {
        self.birth.as_ref()
    }

    /// Deletes all that is kept of a store. Whoever has it open is told that it is gone.
    ///
    /// # Errors
    /// When the browser refuses it.
    pub async fn delete(store: &str) -> Result<(), StorageError> {
        let request = factory()?.delete_database(&Self::name_of(store));
        let request: IdbOpenDbRequest = request.map_err(|error| failed(&error))?;
        outcome(request.into()).await.map(|_| ())
    }
}

impl Records {
    /// Begins a transaction.
    fn begin(&self, mode: &JsValue) -> Result<(Begun, IdbObjectStore), StorageError> {
        if let Some(reason) = &self.gone.borrow().reason {
            return Err(StorageError::Gone { reason: reason.clone() });
        }
        started(&self.connection.database, &self.stores, mode, &self.strictly)
    }

    fn ask(&self, after: Option<&[u8]>, count: usize) -> Result<[IdbRequest; 2], StorageError> {
        let (begun, records) = self.begin(&self.reading)?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let range = match after {
            Some(key) => IdbKeyRange::lower_bound_with_open(&bytes_to_js(key), true).map(JsValue::from),
            None => Ok(JsValue::UNDEFINED),
        };
        let range = range.map_err(|error| failed(&error))?;
        let keys = records.get_all_keys_with_key_and_limit(&range, count);
        let values = records.get_all_with_key_and_limit(&range, count);
        let asked = [
            keys.map_err(|error| failed(&error))?,
            values.map_err(|error| failed(&error))?,
        ];
        begun.end();
        Ok(asked)
    }

    fn ask_last(&self, upto: &[u8]) -> Result<IdbRequest, StorageError> {
        let (begun, records) = self.begin(&self.reading)?;
        let range = IdbKeyRange::upper_bound(&bytes_to_js(upto)).map_err(|error| failed(&error))?;
        let asked = records
            .open_cursor_with_range_and_direction(&range, IdbCursorDirection::Prev)
            .map_err(|error| failed(&error))?;
        begun.end();
        Ok(asked)
    }
}

/// What a transaction is begun with whose writes are to be kept so.
fn durability(how: &str) -> JsValue {
    let options = js_sys::Object::new();
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&options, &"durability".into(), &how.into());
    options.into()
}

/// Begins a transaction in one object store.
fn started(
    database: &IdbDatabase,
    name: &JsValue,
    mode: &JsValue,
    options: &JsValue,
) -> Result<(Begun, IdbObjectStore), StorageError> {
    let database: &Database = database.unchecked_ref();
    let begun = database.transact(name, mode, options).map_err(|error| failed(&error))?;
    let store = begun.object_store(name).map_err(|error| failed(&error))?;
    Ok((begun, store))
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.database.set_onclose(None);
        self.database.set_onversionchange(None);
        self.database.close();
    }
}

impl Storage for IndexedDb {
    fn kind(&self) -> StorageKind {
        StorageKind::IndexedDb
    }

    fn read(&mut self, after: Option<&[u8]>) -> Pending<Result<Vec<Record>, StorageError>> {
        let asked = self
            .records
            .ask(after, self.count.get())
            .map(|[keys, values]| try_join(outcome(keys), outcome(values)));
        let count = Rc::clone(&self.count);
        Box::pin(async move {
            let (keys, values) = asked?.await?;
            let records = Array::from(&keys).into_iter().zip(Array::from(&values));
            let records: Vec<Record> = records.map(|(key, value)| (bytes_of(&key), bytes_of(&value))).collect();
            // As many as these would have been, had they been as long as wanted; but short records may be followed by long ones.
            let read: usize = records.iter().map(|(key, record)| key.len() + record.len()).sum();
            let fitting = (records.len() * READ_BYTES).checked_div(read);
            if let Some(fitting) = fitting.filter(|_| records.len() == count.get()) {
                count.set(fitting.clamp(1, READ_MAX.min(2 * count.get())));
            }
            Ok(records)
        })
    }

    fn write(&mut self, transaction: Arc<Transaction>) -> Pending<Result<(), StorageError>> {
        if let Some(upkeep) = &self.upkeep {
            upkeep.writes();
        }
        let begun = Writing::begin(&self.records, transaction);
        let ended = begun.map(|writing| self.endings.of(writing));
        Box::pin(async move { ended?.await })
    }

    fn reader(&self) -> Box<dyn StorageReader> {
        Box::new(self.records.clone())
    }

    fn gone(&mut self) -> Pending<String> {
        let (tell, told) = oneshot::channel();
        self.records.gone.borrow_mut().tell = Some(tell);
        Box::pin(async move {
            match told.await {
                Ok(reason) => reason,
                // The storage itself is dropped.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

impl StorageReader for Records {
    fn last(&self, upto: &[u8]) -> Pending<Result<Option<Record>, StorageError>> {
        let asked = self.ask_last(upto).map(outcome);
        Box::pin(async move {
            // Null, where there is no record.
            let cursor = asked?.await?.dyn_into::<IdbCursorWithValue>().ok();
            let record = cursor.map(|cursor| Ok((bytes_of(&cursor.key()?), bytes_of(&cursor.value()?))));
            record.transpose().map_err(|error: JsValue| failed(&error))
        })
    }
}

fn factory() -> Result<IdbFactory, StorageError> {
    let here = Reflect::get(&js_sys::global(), &"indexedDB".into());
    let factory = here.ok().and_then(|factory| factory.dyn_into::<IdbFactory>().ok());
    factory.ok_or_else(|| StorageError::Failed {
        reason: "there is no IndexedDB here".into(),
    })
}

fn bytes_of(value: &JsValue) -> Vec<u8> {
    Uint8Array::new(value).to_vec()
}

fn bytes_to_js(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// What a request gives in the end. It is listened to from now on, whenever the future is polled.
fn outcome(request: IdbRequest) -> impl Future<Output = Result<JsValue, StorageError>> {
    let (ended, listeners) = first_of(&request, ["success", "error"]);
    async move {
        let _listeners = listeners;
        match ended.await {
            Ok("success") => request.result().map_err(|error| failed(&error)),
            _ => Err(refused(request.error().ok().flatten()).await),
        }
    }
}

/// Hears how the transaction under way ends, of which there is one at a time. Made once: each function that the browser can call costs as
/// much as a request.
#[derive(Debug)]
struct Endings {
    tell: Rc<RefCell<Option<oneshot::Sender<bool>>>>,
    complete: Closure<dyn FnMut()>,
    abort: Closure<dyn FnMut()>,
    under_way: Option<Begun>,
}

impl Endings {
    fn new() -> Self {
        let tell = Rc::new(RefCell::new(None::<oneshot::Sender<bool>>));
        let hear = |is_complete| {
            let tell = Rc::clone(&tell);
            Closure::<dyn FnMut()>::new(move || {
                if let Some(tell) = tell.borrow_mut().take() {
                    // Nobody waits any more, if that fails.
                    let _ = tell.send(is_complete);
                }
            })
        };
        Self {
            complete: hear(true),
            abort: hear(false),
            under_way: None,
            tell,
        }
    }

    /// What becomes of a transaction. It is listened to from now on, whenever the future is polled.
    fn of(&mut self, writing: Rc<Writing>) -> impl Future<Output = Result<(), StorageError>> + use<> {
        let (tell, told) = oneshot::channel();
        let begun = writing.begun();
        *self.tell.borrow_mut() = Some(tell);
        self.under_way = Some(begun.clone());
        begun.set_oncomplete(Some(self.complete.as_ref().unchecked_ref()));
        begun.set_onabort(Some(self.abort.as_ref().unchecked_ref()));
        async move {
            if let Ok(true) = told.await {
                return Ok(());
            }
            Err(match writing.failure() {
                Some(failure) => failure,
                None => refused(writing.begun().error()).await,
            })
        }
    }
}

impl Drop for Endings {
    fn drop(&mut self) {
        if let Some(begun) = &self.under_way {
            begun.set_oncomplete(None);
            begun.set_onabort(None);
        }
    }
}

/// What the browser threw.
fn failed(error: &JsValue) -> StorageError {
    let words = match error.dyn_ref::<DomException>() {
        Some(error) => format!("{}: {}", error.name(), error.message()),
        None => format!("{error:?}"),
    };
    StorageError::Failed { reason: words }
}

/// Why a request or transaction was given up.
async fn refused(error: Option<DomException>) -> StorageError {
    match error {
        Some(error) if error.name() == "QuotaExceededError" => {
            let (used, quota) = estimate().await.unzip();
            StorageError::Full { used, quota }
        }
        Some(error) => failed(&error),
        None => StorageError::Failed {
            reason: "the browser gave it up without a word".into(),
        },
    }
}

/// Bytes in use by this origin, and allowed to it, where the browser says so.
pub(crate) async fn estimate() -> Option<(u64, u64)> {
    let property = |object: &JsValue, name: &str| {
        let value = Reflect::get(object, &name.into()).ok()?;
        (!value.is_undefined()).then_some(value)
    };
    let navigator = property(&js_sys::global(), "navigator")?;
    let storage = property(&navigator, "storage")?;
    let ask: Function = property(&storage, "estimate")?.dyn_into().ok()?;
    let asked: Promise = ask.call0(&storage).ok()?.dyn_into().ok()?;
    let answer = JsFuture::from(asked).await.ok()?;
    let number = |name| Some(property(&answer, name)?.as_f64()? as u64);
    Some((number("usage")?, number("quota")?))
}
