//! A replica on its way from a disk, record by record and in slices: 100,000 entries take a browser some hundred milliseconds.

use alloc::vec::{self, Vec};
use core::fmt;

use super::{Config, Loader, Replica, RestoreError};
use crate::{
    causality::{Dots, Fork, Frontier},
    disk::{Disk, DiskError, Glimpse, Lying, Reading},
    id::Dot,
    store::Totals,
    time::Timestamp,
};

/// Why the records on a disk are not a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// They are not what was written.
    Disk(DiskError),
    /// What was written is no replica.
    Replica(RestoreError),
}

/// Takes the records of a disk.
#[derive(Debug)]
pub struct Opening {
    config: Config,
    now: Timestamp,
    reading: Reading,
    /// Once all commits are taken, which say what was seen.
    loader: Option<Loader>,
}

/// All records are taken; what is left to do takes a while, too.
#[derive(Debug)]
pub struct Closing {
    loader: Loader,
    entries: vec::IntoIter<Lying>,
    records: vec::IntoIter<(Dot, Dots)>,
    frontier: Frontier,
    forks: Vec<Fork>,
    disk: Disk,
}

/// A replica as it lay on a disk. It writes as a new author.
#[derive(Debug)]
pub struct Opened {
    /// The replica.
    pub replica: Replica,
    /// The book of its disk.
    pub disk: Disk,
}

impl Opening {
    /// Goes on with a reading of which nothing was taken out.
    pub fn new(config: Config, now: Timestamp, reading: Reading) -> Self {
        Self {
            reading,
            config,
            now,
            loader: None,
        }
    }

    /// Takes the next record, in the order of their keys. Returns how many entries have been taken in with it.
    ///
    /// # Errors
    /// When the records are no replica.
    pub fn take(&mut self, key: &[u8], record: &[u8]) -> Result<usize, OpeningError> {
        self.reading.take(key, record)?;
        if !self.reading.is_past_commits() {
            return Ok(0);
        }
        let loader = match &mut self.loader {
            Some(loader) => loader,
            none => none.insert(begin(&self.config, self.now, &self.reading)?),
        };
        let entries = self.reading.take_entries();
        let taken = entries.len();
        entries.into_iter().try_for_each(|entry| loader.entry(entry))?;
        for (dot, value) in self.reading.take_bodies() {
            loader.body(&dot, value);
        }
        Ok(taken)
    }

    /// Whether all commits are taken.
    pub fn is_past_commits(&self) -> bool {
        self.reading.is_past_commits()
    }

    /// Whether all is taken that has to be. Large values may follow, or be read when they are wanted.
    pub fn is_complete(&self) -> bool {
        self.reading.is_past_pages()
    }

    /// How single keys read, and how much there is: from when all commits are taken until another record is. `None` before, and when an
    /// older version has not told how much there is.
    pub fn glimpse(&self) -> Option<(Glimpse, Totals)> {
        let totals = self.reading.totals().filter(|_| self.reading.is_past_commits())?;
        Some((self.reading.glimpse(), totals))
    }

    /// All records are taken. `None` when there were none.
    ///
    /// # Errors
    /// When records are missing, or those that are there are no replica.
    pub fn finish(self) -> Result<Option<Closing>, OpeningError> {
        let loader = match self.loader {
            Some(loader) => loader,
            None => begin(&self.config, self.now, &self.reading)?,
        };
        let opened = self.reading.finish()?;
        Ok(opened.map(|opened| Closing {
            loader,
            entries: opened.entries.into_iter(),
            records: opened.records.into_iter(),
            frontier: opened.frontier,
            forks: opened.forks,
            disk: opened.disk,
        }))
    }

    /// Takes all records and does all that is left.
    ///
    /// # Errors
    /// As [`Self::take`] and [`Self::finish`].
    pub fn of<K: AsRef<[u8]>, R: AsRef<[u8]>>(
        mut self,
        records: impl IntoIterator<Item = (K, R)>,
    ) -> Result<Option<Opened>, OpeningError> {
        for (key, record) in records {
            self.take(key.as_ref(), record.as_ref())?;
        }
        let Some(mut closing) = self.finish()? else {
            return Ok(None);
        };
        closing.work(&mut { usize::MAX })?;
        Ok(Some(closing.finish()?))
    }
}

fn begin(config: &Config, now: Timestamp, reading: &Reading) -> Result<Loader, RestoreError> {
    Loader::new(config.clone(), now, reading.vector().clone(), reading.calls().clone())
}

impl Closing {
    /// Does what is left, up to about `left` entries. Returns whether all is done.
    ///
    /// # Errors
    /// When the records are no replica.
    pub fn work(&mut self, left: &mut usize) -> Result<bool, OpeningError> {
        while *left > 0 {
            if let Some(entry) = self.entries.next() {
                self.loader.entry(entry)?;
            } else if let Some((dot, removes)) = self.records.next() {
                self.loader.record(dot, &removes)?;
            } else {
                return Ok(self.loader.check(left)?);
            }
            *left -= 1;
        }
        Ok(false)
    }

    /// All is done.
    ///
    /// # Errors
    /// When the records are no replica.
    pub fn finish(self) -> Result<Opened, OpeningError> {
        Ok(Opened {
            replica: self.loader.finish(self.frontier, self.forks)?,
            disk: self.disk,
        })
    }
}

impl From<DiskError> for OpeningError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<RestoreError> for OpeningError {
    fn from(error: RestoreError) -> Self {
        Self::Replica(error)
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => write!(f, "{error}"),
            Self::Replica(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for OpeningError {}
