//! Values that are not in memory, on their way from the storage to whoever wants them.

use std::{collections::VecDeque, future::Future, sync::Arc};

use gossipstore_core::replica::{Absent, Input, Replica};

use super::{Engine, State};
use crate::{
    storage::{StorageError, StorageReader},
    values::{self, For, Load, Loaded, Values},
};

impl Engine {
    /// Reads, and gives what was made of it, if all values that it came upon were in memory or have been read.
    pub(crate) fn try_read<T>(
        &self,
        read: &mut impl FnMut(&Replica, &mut Values) -> T,
        values: &mut Values,
    ) -> Option<T> {
        let mut state = self.lock();
        let whole = read(&state.replica, values);
        if !values.missing.is_empty() {
            values.used.clear();
            return None;
        }
        state.replica.touch(&values.used);
        if !values.read.is_empty() {
            let values = std::mem::take(&mut values.read).into_iter().collect();
            state.feed(Input::Loaded { peer: None, values });
            // Of what is lost, peers are to be asked.
            self.node.wake();
        }
        Some(whole)
    }

    /// Reads values from the storage.
    pub(crate) fn load(&self, absent: Vec<Absent>) -> impl Future<Output = Result<Vec<Loaded>, StorageError>> + use<> {
        values::load(self.lock().reader(), absent)
    }

    /// The values that are to be read.
    pub(crate) fn take_loads(&self) -> VecDeque<Load> {
        std::mem::take(&mut self.lock().loads)
    }

    /// Values were read, or cannot be.
    pub(crate) fn loaded(&self, whom: For, loaded: Vec<Loaded>) {
        let mut state = self.lock();
        let values = loaded.iter().map(|(absent, value)| (absent.dot, value.clone()));
        match whom {
            For::Session(peer) => {
                let (peer, values) = (Some(peer), values.collect());
                state.feed(Input::Loaded { peer, values });
            }
            For::Pages => {
                let lost: Vec<_> = values.filter(|(_, value)| value.is_none()).collect();
                if let Some(kept) = &mut state.kept {
                    kept.disk.supply(loaded);
                }
                if !lost.is_empty() {
                    let (peer, values) = (None, lost);
                    state.feed(Input::Loaded { peer, values });
                }
            }
        }
    }
}

impl State {
    pub(super) fn load(&mut self, whom: For, absent: Vec<Absent>) {
        let reader = self.reader();
        self.loads.push_back(Load { whom, absent, reader });
    }

    fn reader(&self) -> Option<Arc<dyn StorageReader>> {
        self.kept.as_ref().map(|kept| Arc::clone(&kept.reader))
    }
}
