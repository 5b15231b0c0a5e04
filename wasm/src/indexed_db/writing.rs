//! A transaction on its way into a database.
//!
//! What is long is asked for in pieces, each in a task of its own: the browser copies what it is to write, and at once that would hold up
//! the page. Until the last is asked the transaction is open, and others wait for it; so a short one, as nearly all are, is asked for at once
//! and told to commit.

use std::{
    cell::{OnceCell, RefCell},
    ops::Bound,
    rc::{Rc, Weak},
    sync::Arc,
};

use gossipstore_core::disk::Transaction;
use gossipstore_net::storage::StorageError;
use js_sys::Reflect;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{IdbObjectStore, IdbRequest};

use super::{Begun, Records, bytes_to_js, failed};

/// How many bytes are asked for in one task, unless one record is longer: a few milliseconds.
const PIECE_BYTES: usize = 1024 * 1024;

/// As many as a request of a few bytes takes the time of.
const REQUEST_AS_BYTES: usize = 1024;

/// A transaction that was begun. One that is dropped before all is asked for is given up.
#[derive(Debug)]
pub(super) struct Writing {
    transaction: Arc<Transaction>,
    begun: Begun,
    records: IdbObjectStore,
    course: RefCell<Course>,
    this: Weak<Self>,
    /// Asks for the next piece when the one before is done.
    next: OnceCell<Closure<dyn FnMut()>>,
}

/// How far it is.
#[derive(Debug, Default)]
struct Course {
    /// The last request of the piece that is under way, if it is not the last piece, and its key.
    last: Option<(IdbRequest, Vec<u8>)>,
    is_asked: bool,
    /// Asks whether something stands under the guard as well.
    guarding: Option<IdbRequest>,
    failure: Option<StorageError>,
}

/// What is asked for in one task, as the browser takes it: making it takes time that others need not wait for.
struct Piece {
    changes: Vec<(JsValue, Option<JsValue>)>,
    /// The last key, if more is to follow.
    upto: Option<Vec<u8>>,
    /// The guard, and the record that is to stand under it; in the piece in which that is asked for.
    guard: Option<(JsValue, Option<JsValue>)>,
}

impl Writing {
    pub(super) fn begin(records: &Records, transaction: Arc<Transaction>) -> Result<Rc<Self>, StorageError> {
        let first = Piece::behind(None, &transaction);
        // From here on others wait until all is asked: nothing else is done in between.
        let (begun, records) = records.begin(&records.writing)?;
        let writing = Rc::new_cyclic(|this| Self {
            transaction,
            begun,
            records,
            course: RefCell::default(),
            this: Weak::clone(this),
            next: OnceCell::new(),
        });
        writing.ask(&first);
        Ok(writing)
    }

    pub(super) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// Why it was given up, as far as that is known here.
    pub(super) fn failure(&self) -> Option<StorageError> {
        let course = &mut *self.course.borrow_mut();
        // Firefox says of the transaction that it was aborted, and only of the request why.
        let guarding = course
            .guarding
            .take()
            .and_then(|guarding| guarding.error().ok().flatten());
        let is_superseded = guarding.is_some_and(|error| error.name() == "ConstraintError");
        let superseded = is_superseded.then_some(StorageError::Superseded);
        superseded.or_else(|| course.failure.take())
    }

    fn ask(&self, piece: &Piece) {
        if let Err(error) = self.try_ask(piece) {
            self.course.borrow_mut().failure = Some(failed(&error));
            // Ended already, if that fails.
            let _ = self.begun.abort();
        }
    }

    fn try_ask(&self, piece: &Piece) -> Result<(), JsValue> {
        let course = &mut *self.course.borrow_mut();
        if let Some((key, None)) = &piece.guard {
            course.guarding = Some(self.records.add_with_key(key, key)?);
            self.records.delete(key)?;
        }
        let mut last = None;
        for (key, change) in &piece.changes {
            last = Some(match change {
                Some(record) => self.records.put_with_key(record, key)?,
                None => self.records.delete(key)?,
            });
        }
        if let Some((request, upto)) = last.zip(piece.upto.clone()) {
            let next = self.next.get_or_init(|| self.go_on());
            request.set_onsuccess(Some(next.as_ref().unchecked_ref()));
            course.last = Some((request, upto));
            return Ok(());
        }
        if let Some((key, Some(record))) = &piece.guard {
            course.guarding = Some(self.records.add_with_key(record, key)?);
        }
        course.is_asked = true;
        if heeds_errors_while_committing() || may_end_heedlessly(&self.transaction) && self.next.get().is_none() {
            self.begun.end();
        }
        Ok(())
    }

    fn go_on(&self) -> Closure<dyn FnMut()> {
        let this = Weak::clone(&self.this);
        Closure::new(move || {
            if let Some(this) = this.upgrade() {
                let last = this.course.borrow_mut().last.take();
                if let Some((_, upto)) = last {
                    this.ask(&Piece::behind(Some(&upto), &this.transaction));
                }
            }
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let course = self.course.get_mut();
        if let Some((request, _)) = &course.last {
            request.set_onsuccess(None);
        }
        // Nobody waits for how it ends.
        self.begun.set_oncomplete(None);
        self.begun.set_onabort(None);
        if !course.is_asked {
            // Else what was asked for would be carried out, and nothing else. Ended already, if that fails.
            let _ = self.begun.abort();
        }
    }
}

impl Piece {
    /// The one that follows a key, or the first.
    fn behind(key: Option<&[u8]>, transaction: &Transaction) -> Self {
        let Transaction { changes, guard } = transaction;
        let guard = guard.as_deref();
        let to_js = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(bytes_to_js);
        let mut piece = Self {
            changes: Vec::new(),
            upto: None,
            guard: None,
        };
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut bytes, mut upto) = (0, None);
        for (key, change) in changes.range::<[u8], _>((from, Bound::Unbounded)) {
            if change.is_some() && guard == Some(key) {
                continue;
            }
            bytes += REQUEST_AS_BYTES + change.as_ref().map_or(0, Vec::len);
            if bytes > PIECE_BYTES && upto.is_some() {
                piece.upto = upto.map(<[u8]>::to_vec);
                break;
            }
            piece.changes.push((bytes_to_js(key), to_js(change)));
            upto = Some(&key[..]);
        }
        // A record under it comes last of all, nothing first of all.
        let is_asked = match guards_by_record(transaction) {
            true => piece.upto.is_none(),
            false => key.is_none(),
        };
        if let Some(guard) = guard.filter(|_| is_asked) {
            piece.guard = Some((bytes_to_js(guard), changes.get(guard).and_then(to_js)));
        }
        piece
    }
}

/// Whether something is to stand under the guard afterwards.
fn guards_by_record(transaction: &Transaction) -> bool {
    let guard = transaction.guard.as_ref();
    guard.is_some_and(|guard| matches!(transaction.changes.get(guard), Some(Some(_))))
}

/// Whether no request can fail but the last, if all are asked for at once.
fn may_end_heedlessly(transaction: &Transaction) -> bool {
    transaction.guard.is_none() || guards_by_record(transaction)
}

/// Whether a transaction that was told to commit is aborted when any request of it fails, as the standard has it. Firefox does so for the
/// last request only, unless it is told within an answer to another, and carries out the rest otherwise, and with it what the guard is to
/// prevent. So the guard is asked for last of all; and where that cannot be, since nothing is to stand under it afterwards, or all is not
/// asked for at once, the transaction ends by itself, a moment later. Told by a class that only its engine has: to try it out would take two
/// transactions at each opening.
fn heeds_errors_while_committing() -> bool {
    !Reflect::has(&js_sys::global(), &"InternalError".into()).unwrap_or(false)
}
