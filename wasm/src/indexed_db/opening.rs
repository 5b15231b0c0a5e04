//! Opening a database, or making it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use futures_timer::Delay;
use gossipstore_net::storage::StorageError;
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use web_sys::{DomException, IdbDatabase};

use super::{factory, failed, outcome};

/// The version of a database's shape, which is one object store; that of what is in it is the records' own business.
const VERSION: u32 = 1;

/// How long to wait before a database is opened again. A browser that was killed may hold its files for as long as its last writes take,
/// and the next cannot open them meanwhile: whoever took that for a refusal would show an empty store. (Chromium itself tries for two
/// seconds each time.)
const OPENED_AGAIN_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
];

/// A database, and what became of it before.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: IdbDatabase,
    pub(super) birth: Option<Birth>,
}

/// That a database was made just now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Birth {
    /// What the browser says of the one before, if it has thrown that away because it could not read it: Chromium does so, with all
    /// databases of the origin.
    pub lost: Option<String>,
}

/// Opens a database of one object store, or makes it; again, for a while, when the browser cannot say why it did not.
pub(super) async fn open(name: &str, store: &'static str) -> Result<Opened, StorageError> {
    let mut waits = OPENED_AGAIN_AFTER.into_iter();
    loop {
        let request = factory()?
            .open_with_u32(name, VERSION)
            .map_err(|error| failed(&error))?;
        let birth = Rc::new(RefCell::new(None));
        let upgrade = {
            let (request, birth) = (request.clone(), Rc::clone(&birth));
            Closure::once(move |event: JsValue| {
                // It fails if the browser has taken the request back meanwhile, which the request says by itself.
                let Ok(database) = request.result() else { return };
                let database: IdbDatabase = database.unchecked_into();
                *birth.borrow_mut() = Some(Birth { lost: loss(&event) });
                let _ = database.create_object_store(store);
            })
        };
        request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
        let error = match outcome(request.clone().into()).await {
            Ok(database) => {
                let (database, birth) = (database.unchecked_into(), birth.take());
                return Ok(Opened { database, birth });
            }
            Err(error) => error,
        };
        let is_unknown = |error: DomException| error.name() == "UnknownError";
        let may_pass = request.error().ok().flatten().is_some_and(is_unknown);
        match waits.next().filter(|_| may_pass) {
            Some(wait) => Delay::new(wait).await,
            None => return Err(error),
        }
    }
}

/// What Chromium says of a database that it has thrown away.
fn loss(event: &JsValue) -> Option<String> {
    let text = |name: &str| Reflect::get(event, &name.into()).ok()?.as_string();
    text("dataLoss").filter(|loss| loss != "none")?;
    Some(text("dataLossMessage").unwrap_or_default())
}
