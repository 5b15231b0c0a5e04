//! Values that are not in memory: read from the storage for whoever wants them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Context, Poll},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use gossipstore_core::{
    disk,
    id::{Dot, Peer},
    replica::{Absent, Body, Key, Value},
};

use crate::storage::{Pending, StorageError, StorageReader};

/// A value that was asked for; `None` if the storage does not hold it.
pub(crate) type Loaded = (Absent, Option<Value>);

/// Reads values. Those that stand in one page are found by reading it once.
pub(crate) async fn load(
    reader: Option<Arc<dyn StorageReader>>,
    mut absent: Vec<Absent>,
) -> Result<Vec<Loaded>, StorageError> {
    let Some(reader) = reader else {
        return Ok(absent.into_iter().map(|absent| (absent, None)).collect());
    };
    absent.sort_by_cached_key(Absent::place);
    let (mut loaded, mut page) = (Vec::with_capacity(absent.len()), BTreeMap::new());
    for absent in absent {
        let mut value = page.remove(&absent.dot).and_then(|value| absent.checked(value));
        if value.is_none()
            && let Some((place, record)) = reader.last(&absent.place()).await?
        {
            // What is damaged is not there.
            value = absent.read((&place, &record)).unwrap_or_default();
            page = disk::values(&place, &record).unwrap_or_default().into_iter().collect();
        }
        loaded.push((absent, value));
    }
    Ok(loaded)
}

/// What came of a load, and for whom.
pub(crate) type Done = (For, Result<Vec<Loaded>, StorageError>);

/// For whom values are read, where nobody waits in a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum For {
    /// The answer to a peer.
    Session(Peer),
    /// Pages that are to be written anew.
    Pages,
}

/// Values that are to be read.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) whom: For,
    pub(crate) absent: Vec<Absent>,
    pub(crate) reader: Option<Arc<dyn StorageReader>>,
}

/// What is being read.
#[derive(Default)]
pub(crate) struct Loads {
    under_way: FuturesUnordered<Pending<Done>>,
}

impl Loads {
    pub(crate) fn begin(&mut self, loads: VecDeque<Load>) {
        for Load { whom, absent, reader } in loads {
            let read = async move { (whom, load(reader, absent).await) };
            self.under_way.push(Box::pin(read));
        }
    }

    /// Ready when some are read.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        match self.under_way.poll_next_unpin(cx) {
            Poll::Ready(Some(read)) => Poll::Ready(read),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// The values that a reader comes upon. What it makes of them counts if all were there; else it looks again, when they are.
#[derive(Debug, Default)]
pub struct Values {
    pub(crate) read: BTreeMap<Dot, Option<Value>>,
    pub(crate) missing: Vec<Absent>,
    pub(crate) used: Vec<Dot>,
}

impl Values {
    /// The value of an entry. `None` if the storage has lost it, or if it is not there yet and is to be looked at again.
    pub fn of(&mut self, dot: Dot, key: &Key, body: &Body) -> Option<Value> {
        match (body, Absent::of(dot, key, body)) {
            (Body::Here(value), _) => {
                self.used.push(dot);
                Some(Value::clone(value))
            }
            (_, Some(absent)) => self.of_absent(&absent),
            (_, None) => None,
        }
    }

    /// As [`Self::of`], of one that is known to be absent.
    pub fn of_absent(&mut self, absent: &Absent) -> Option<Value> {
        match self.read.get(&absent.dot) {
            Some(value) => value.clone(),
            None => {
                self.missing.push(absent.clone());
                None
            }
        }
    }
}

/// What a read gives: at once, if all of it was in memory.
pub enum Read<T> {
    /// Here it is.
    Now(T),
    /// It comes.
    Later(Pending<Result<T, StorageError>>),
}

impl<T> Read<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn whole(self) -> Result<T, StorageError> {
        match self {
            Self::Now(whole) => Ok(whole),
            Self::Later(whole) => whole.await,
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Read<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now(whole) => f.debug_tuple("Now").field(whole).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}
