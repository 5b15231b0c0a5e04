//! What can be had of a store while it is still being loaded.

use gossipstore_core::{
    disk::{Glimpse, Glimpsed},
    id::StoreId,
    replica::Value,
    store::Totals,
};

use crate::{
    error::OpenError,
    keeper::unreadable,
    refusals::Refusals,
    status::{self, RelayStatus, Role, Status, StorageKind, StorageStatus},
    storage::{Record, StorageReader},
};

/// A store that is still being loaded: single keys can be read, and it is known how much there is. What is read is what was stored last;
/// nobody has written since.
#[derive(Debug)]
pub struct Early {
    pub(crate) store: StoreId,
    pub(crate) glimpse: Glimpse,
    pub(crate) totals: Totals,
    pub(crate) reader: Box<dyn StorageReader>,
    pub(crate) kind: StorageKind,
    pub(crate) relays: Vec<RelayStatus>,
}

impl Early {
    /// What a key reads.
    ///
    /// # Errors
    /// When what is stored cannot be read. Loading all of it fails, too.
    pub async fn get(&self, key: &str) -> Result<Option<Value>, OpenError> {
        let page = self.last(&Glimpse::place(key)).await?;
        let page = page.as_ref().map(|(place, record)| (&place[..], &record[..]));
        match self.glimpse.read(key, page).map_err(|error| unreadable(&error))? {
            Glimpsed::Value(value) => Ok(value),
            Glimpsed::Away(absent) => {
                let found = self.last(&absent.place()).await?;
                let value = found.and_then(|(place, record)| absent.read((&place, &record)).ok()?);
                value.map(Some).ok_or_else(|| unreadable(&"a value is missing"))
            }
        }
    }

    async fn last(&self, upto: &[u8]) -> Result<Option<Record>, OpenError> {
        self.reader.last(upto).await.map_err(|error| unreadable(&error))
    }

    /// As [`Handle::store`](crate::Handle::store).
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// How much there is.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The status of a store that has not begun to look for others.
    pub fn status(&self) -> Status {
        Status {
            role: Role::Leader,
            network: status::network([].into_iter(), &self.relays),
            peers: Vec::new(),
            storage: StorageStatus {
                kind: self.kind,
                persisted: false,
                used_bytes: self.totals.bytes,
                quota_bytes: None,
                problem: None,
            },
            relays: self.relays.clone(),
            pending: 0,
            refused: Refusals::default(),
        }
    }
}
