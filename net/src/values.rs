//! Values that are not in memory: read from the storage for whoever wants them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, FuturesUnordered},
};
use futures_timer::Delay;
use gossipstore_core::{
    disk,
    id::{Dot, Peer},
    replica::{Absent, Body, Key, Value},
};

use crate::{
    keeper::again_after,
    storage::{Pending, StorageError, StorageReader},
};

/// A value that was asked for; `None` if the storage does not hold it.
pub(crate) type Loaded = (Absent, Option<Value>);

/// How many records are read at the same time.
const LANES: usize = 8;

/// How many values one lane is for at least, unless they have so many bytes: about a page's worth. Several lanes would read one page.
const LANE_VALUES_MIN: usize = 32;
const LANE_BYTES: usize = 32 * 1024;

/// Reads values.
pub(crate) async fn load(
    reader: Option<Arc<dyn StorageReader>>,
    absent: Vec<Absent>,
) -> Result<Vec<Loaded>, StorageError> {
    let Some(reader) = reader else {
        return Ok(nothing(absent));
    };
    let read = lanes(absent)
        .into_iter()
        .map(|lane| load_in_order(Arc::clone(&reader), lane));
    stream::iter(read).buffered(LANES).try_concat().await
}

fn nothing(absent: Vec<Absent>) -> Vec<Loaded> {
    absent.into_iter().map(|absent| (absent, None)).collect()
}

/// What is read one after the other, so that neighbours are.
fn lanes(mut absent: Vec<Absent>) -> Vec<Vec<Absent>> {
    absent.sort_by_cached_key(Absent::place);
    let count = absent.len().div_ceil(LANES).max(LANE_VALUES_MIN);
    let (mut lanes, mut lane, mut bytes) = (Vec::new(), Vec::new(), 0);
    for absent in absent {
        bytes += absent.print.length as usize;
        lane.push(absent);
        if lane.len() >= count || bytes >= LANE_BYTES {
            lanes.push(std::mem::take(&mut lane));
            bytes = 0;
        }
    }
    lanes.push(lane);
    lanes
}

/// Values that stand in one page are found by reading it once.
async fn load_in_order(reader: Arc<dyn StorageReader>, absent: Vec<Absent>) -> Result<Vec<Loaded>, StorageError> {
    let (mut loaded, mut page) = (Vec::with_capacity(absent.len()), BTreeMap::new());
    for absent in absent {
        if !page.contains_key(&absent.dot)
            && let Some((place, record)) = reader.last(&absent.place()).await?
        {
            // What is damaged is not there.
            page = disk::values(&place, &record).unwrap_or_default().into_iter().collect();
        }
        let value = page.remove(&absent.dot).and_then(|value| absent.checked(value));
        loaded.push((absent, value));
    }
    Ok(loaded)
}

/// What came of a load, and for whom.
pub(crate) type Done = (For, Vec<Loaded>);

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

impl Load {
    /// Pages that cannot be read at present are tried again: until then the journal grows. For a peer, such a value counts as lost: it can
    /// ask another, and again.
    async fn run(self) -> Done {
        let mut failures = 0;
        loop {
            let error = match load(self.reader.clone(), self.absent.clone()).await {
                Ok(loaded) => return (self.whom, loaded),
                Err(error) => error,
            };
            tracing::warn!(%error, "values could not be read");
            if self.whom != For::Pages {
                return (self.whom, nothing(self.absent));
            }
            Delay::new(again_after(failures)).await;
            failures += 1;
        }
    }
}

/// What is being read.
#[derive(Default)]
pub(crate) struct Loads {
    under_way: FuturesUnordered<Pending<Done>>,
}

impl Loads {
    pub(crate) fn begin(&mut self, loads: VecDeque<Load>) {
        for load in loads {
            self.under_way.push(Box::pin(load.run()));
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
