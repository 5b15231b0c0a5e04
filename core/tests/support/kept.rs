//! A replica beside a map of records, which is its disk.

use std::collections::BTreeMap;

use gossipstore_core::{
    disk::{Disk, Leisure, Sizes},
    id::StoreId,
    replica::{Absent, BatchId, Call, Command, CommandId, Config, Input, Key, Value, Write},
    store::Caller,
};

use super::{Driver, config};

pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// A replica with its disk.
pub struct Kept {
    pub driver: Driver,
    pub disk: Disk,
    pub records: Records,
    /// How many batches the disk was given.
    pub taken: usize,
    /// How many bytes were written, and in the largest transaction.
    pub written: usize,
    pub largest: usize,
}

/// Small pages, so that few keys make many.
pub const SMALL: Sizes = Sizes {
    page_entries: 8,
    page_bytes: 400,
    commit_bytes: 1_000,
    prepared_bytes: 1_000_000,
    tidied_bytes: 500,
    tidied_bytes_max: 20_000,
    journal_bytes_long: 2_000,
    journal_bytes_max: 8_000,
};

pub fn call(n: u64) -> Call {
    Call { caller: Caller(5), n }
}

pub fn store() -> StoreId {
    StoreId::from_name("test")
}

impl Kept {
    pub fn new(sizes: Sizes) -> Self {
        Self::with(config(1), sizes)
    }

    pub fn with(config: Config, sizes: Sizes) -> Self {
        Self {
            driver: Driver::with(config),
            disk: Disk::new(store(), sizes),
            records: Records::new(),
            taken: 0,
            written: 0,
            largest: 0,
        }
    }

    pub fn transact(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.driver.transact(writes).expect("valid writes");
    }

    /// Writes as one who calls again when there is no answer.
    pub fn call(&mut self, n: u64, writes: impl IntoIterator<Item = Write>) {
        self.driver.feed(Input::Call {
            id: CommandId(0),
            call: call(n),
            command: Command::Transact(writes.into_iter().collect()),
        });
        self.driver.replies.pop().expect("an answer").expect("valid writes");
    }

    /// Gives the disk what the replica has put out, and carries out one transaction. Returns whether there may be another.
    pub fn flush(&mut self, idle: bool) -> bool {
        let leisure = if idle { Leisure::Idle } else { Leisure::None };
        for (at, batch) in self.driver.batches.iter().enumerate().skip(self.taken) {
            self.disk.take(BatchId(at as u64), batch.clone());
        }
        self.taken = self.driver.batches.len();
        let next = self.disk.next(self.driver.replica.store(), leisure);
        let wanted = self.disk.wants();
        let is_reading = !wanted.is_empty();
        if is_reading {
            let read = |absent: Absent| (absent.clone(), self.read(&absent));
            let read: Vec<_> = wanted.into_iter().map(read).collect();
            let lost = read.iter().filter(|(_, value)| value.is_none());
            let values = lost.map(|(absent, _)| (absent.dot, None)).collect();
            self.driver.feed(Input::Loaded { peer: None, values });
            self.disk.supply(read);
        }
        let Some((_, transaction)) = next else {
            return is_reading || self.disk.is_waiting();
        };
        self.written += transaction.bytes();
        self.largest = self.largest.max(transaction.bytes());
        let dots = self.disk.done();
        self.driver.feed(Input::Kept { dots });
        transaction.carry_out(&mut self.records)
    }

    /// A value that is not in memory.
    pub fn read(&self, absent: &Absent) -> Option<Value> {
        let found = self.records.range(..=absent.place()).next_back();
        let (place, record) = found?;
        absent.read((place, record)).expect("an undamaged disk")
    }

    pub fn settle(&mut self) {
        while self.flush(true) {}
    }

    pub fn bytes(&self) -> usize {
        self.records.iter().map(|(key, record)| key.len() + record.len()).sum()
    }
}

pub fn put(key: impl AsRef<str>, value: impl Into<Value>) -> Write {
    Write::Put {
        key: Key::from(key.as_ref()),
        value: value.into(),
        context: None,
    }
}

pub fn delete(key: impl AsRef<str>) -> Write {
    Write::Delete {
        key: Key::from(key.as_ref()),
        context: None,
    }
}
