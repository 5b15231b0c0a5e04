//! A replica on its way from its storage, in slices.

use std::vec;

use gossipstore_core::replica::{Opened, Opening};

use crate::{
    breath::Breath,
    error::OpenError,
    keeper::unreadable,
    storage::{Pending, Record, Storage, StorageError},
};

/// How many entries are loaded between two breaths: for some milliseconds, also where a browser is slow.
const LOADED_PER_TURN: usize = 500;

/// All records of a storage, one after the other.
pub(crate) struct Records {
    read: vec::IntoIter<Record>,
    /// Those behind them; none when there are no more.
    asked: Option<Pending<Result<Vec<Record>, StorageError>>>,
}

impl Records {
    pub(crate) fn of(storage: &mut dyn Storage) -> Self {
        Self {
            read: Vec::new().into_iter(),
            asked: Some(storage.read(None)),
        }
    }

    pub(crate) async fn next(&mut self, storage: &mut dyn Storage) -> Result<Option<Record>, OpenError> {
        if self.read.len() == 0
            && let Some(asked) = self.asked.take()
        {
            let records = asked.await.map_err(|error| unreadable(&error))?;
            // The next are on their way while these are taken in.
            self.asked = records.last().map(|(last, _)| storage.read(Some(last)));
            self.read = records.into_iter();
        }
        Ok(self.read.next())
    }
}

/// What was taken in, and what is still to be.
pub(crate) struct Loading {
    opening: Opening,
    records: Records,
}

impl Loading {
    /// Begins: reads until all commits are read, or everything is.
    pub(crate) async fn begin(storage: &mut dyn Storage, opening: Opening) -> Result<Self, OpenError> {
        let records = Records::of(storage);
        let mut loading = Self { opening, records };
        while !loading.opening.is_past_commits() && loading.take(storage).await?.is_some() {}
        Ok(loading)
    }

    pub(crate) fn opening(&self) -> &Opening {
        &self.opening
    }

    /// Goes on to the end. `None` when nothing is kept.
    pub(crate) async fn finish(mut self, storage: &mut dyn Storage) -> Result<Option<Opened>, OpenError> {
        let (mut breath, mut loaded) = (Breath::default(), 0);
        // Large values are read when they are wanted.
        while !self.opening.is_complete()
            && let Some(entries) = self.take(storage).await?
        {
            loaded += entries;
            if loaded >= LOADED_PER_TURN {
                loaded = 0;
                breath.take().await;
            }
        }
        let Some(mut closing) = self.opening.finish().map_err(|error| unreadable(&error))? else {
            return Ok(None);
        };
        while !closing
            .work(&mut { LOADED_PER_TURN })
            .map_err(|error| unreadable(&error))?
        {
            breath.take().await;
        }
        closing.finish().map(Some).map_err(|error| unreadable(&error))
    }

    /// Takes the next record in, if there is one; returns how many entries have come with it.
    async fn take(&mut self, storage: &mut dyn Storage) -> Result<Option<usize>, OpenError> {
        let Some((key, record)) = self.records.next(storage).await? else {
            return Ok(None);
        };
        let entries = self.opening.take(&key, &record);
        entries.map(Some).map_err(|error| unreadable(&error))
    }
}
