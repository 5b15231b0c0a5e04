//! What callers hold of an open store.

use std::{future::Future, sync::Arc};

use futures::Stream;
use gossipstore_core::{
    disk::export,
    id::{Dot, Home, PresenceId, StoreId},
    membership::{Invitation, InvitationError},
    presence::News,
    replica::{Absent, Call, Command, Input, Key, Replica, Value, Write},
    wire::PRESENCE_BYTES_MAX,
};

use crate::{
    engine::Engine,
    error::{ImportError, StoreError},
    events::NodeEvent,
    merging,
    status::Status,
    storage::{MaybeSend, StorageError},
    values::{Read, Values},
};

/// An open store. Cheap to clone; all clones are the same store. Natively it may be sent to other threads.
///
/// Everything works without a network, and also while the [`crate::Node`] is not being polled; only then nothing is
/// exchanged with anybody.
#[derive(Clone, Debug)]
pub struct Handle {
    engine: Arc<Engine>,
    invitation: Arc<Invitation>,
}

impl Handle {
    /// `invitation` is what others are invited by.
    pub(crate) fn new(engine: Arc<Engine>, invitation: Invitation) -> Self {
        let invitation = Arc::new(invitation);
        Self { engine, invitation }
    }

    /// What the store is called among its members, whatever its name is on each device.
    pub fn store(&self) -> StoreId {
        self.invitation.secret.store()
    }

    /// What to send to somebody who is to share the store: text for the fragment of a link, with the store's name, its secret and the
    /// relays that it was opened with. Whoever reads it is a member; see [`Options::join`](crate::Options::join).
    ///
    /// `expires`, in seconds since 1970, is when it should not be followed any more. It takes nothing from who has read it before.
    ///
    /// # Errors
    /// When the name is too long for one.
    pub fn invite(&self, expires: Option<u64>) -> Result<String, InvitationError> {
        let invitation = Invitation::clone(&self.invitation);
        Invitation { expires, ..invitation }.encode()
    }

    /// Makes all the writes one transaction: seen whole or not at all, here and on every replica.
    ///
    /// The command is carried out before this returns: [`Handle::read`] sees it at once. The future resolves when it is
    /// durable and need not be awaited for that.
    pub fn transact(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), StoreError>> + 'static {
        self.command(Command::Transact(writes))
    }

    /// Deletes every key. As [`Handle::transact`] in everything else.
    pub fn clear(&self) -> impl Future<Output = Result<(), StoreError>> + 'static {
        self.command(Command::Clear)
    }

    /// As [`Handle::transact`] and [`Handle::clear`].
    pub fn command(&self, command: Command) -> impl Future<Output = Result<(), StoreError>> + 'static {
        self.engine.command(command, None)
    }

    /// As [`Handle::command`], for a caller that makes the call again, with the same name, to whoever opens what
    /// this store keeps, should it not be answered: it is carried out once in all. For that it is gossiped when it is durable, and not at
    /// once.
    pub fn call(&self, call: Call, command: Command) -> impl Future<Output = Result<(), StoreError>> + 'static {
        self.engine.command(command, Some(call))
    }

    /// All that the store holds, as a file for [`Handle::import`]. As of one moment, durable or not. The whole file, and what is not in
    /// memory of the values, are held at once.
    ///
    /// # Errors
    /// When the storage cannot be read, or has lost a value.
    pub fn export(&self) -> impl Future<Output = Result<Vec<u8>, StoreError>> + use<> {
        let exported = self.read_values(|replica, values| {
            let mut lost = None;
            let file = export(replica.id(), replica.store(), |absent| {
                let value = values.of_absent(absent);
                if value.is_none() {
                    lost = Some(absent.key.clone());
                }
                value
            });
            lost.map_or(Ok(file), |key| Err(StoreError::ValueLost { key }))
        });
        async move { exported.whole().await? }
    }

    /// Takes in all that a file holds, as if a peer had brought it: what both have is merged, and what was deleted here after the file
    /// was written stays deleted. Resolves when it is durable. The file may be of another store.
    ///
    /// # Errors
    /// When the file is not what [`Handle::export`] has made, nothing is changed.
    pub fn import(&self, file: &[u8]) -> impl Future<Output = Result<(), ImportError>> + 'static {
        let read = merging::read(file, self.read(Replica::id));
        let engine = Arc::clone(&self.engine);
        async move { Ok(merging::merge(&engine, read?).await?) }
    }

    /// Another process has taken the store over: ends the [`crate::Node`] at once. What waits to be durable fails with
    /// [`StoreError::Superseded`], and later writes with [`StoreError::Closed`].
    pub fn supersede(&self) {
        self.engine.supersede();
    }

    /// Reads from the replica: what `read` returns is one consistent moment.
    ///
    /// The replica is locked meanwhile: a call of any method of this handle from within `read` would wait for ever.
    pub fn read<T>(&self, read: impl FnOnce(&Replica) -> T) -> T {
        self.engine.read(read)
    }

    /// Reads from the replica, with values that may not be in memory: what `read` returns is one consistent moment. It is called again
    /// when values had to be read from the storage first.
    pub fn read_values<T: MaybeSend + 'static>(
        &self,
        mut read: impl FnMut(&Replica, &mut Values) -> T + MaybeSend + 'static,
    ) -> Read<T> {
        let mut values = Values::default();
        if let Some(whole) = self.engine.try_read(&mut read, &mut values) {
            return Read::Now(whole);
        }
        let engine = Arc::clone(&self.engine);
        Read::Later(Box::pin(async move {
            loop {
                let loaded = engine.load(std::mem::take(&mut values.missing)).await?;
                values
                    .read
                    .extend(loaded.into_iter().map(|(absent, value)| (absent.dot, value)));
                // What has changed meanwhile may have brought others.
                if let Some(whole) = engine.try_read(&mut read, &mut values) {
                    return Ok(whole);
                }
            }
        }))
    }

    /// What a key reads; of a counter the sum.
    ///
    /// # Errors
    /// When the storage cannot be read, or has lost the value.
    pub fn get(&self, key: &str) -> impl Future<Output = Result<Option<Value>, StoreError>> + use<> {
        let key = Key::from(key);
        let lost = StoreError::ValueLost { key: key.clone() };
        let read = self.read_values(move |replica, values| {
            let (dot, body) = replica.winner(&key)?;
            Some(values.of(dot, &key, body))
        });
        async move { read.whole().await?.map(|value| value.ok_or(lost)).transpose() }
    }

    /// The values of a change that are not in memory, and are in the storage still; those of a change are for a short while.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub fn load(&self, absent: Vec<Absent>) -> impl Future<Output = Result<Vec<(Dot, Value)>, StorageError>> + use<> {
        let loaded = self.engine.load(absent);
        async move {
            let found = |(absent, value): (Absent, Option<Value>)| Some((absent.dot, value?));
            Ok(loaded.await?.into_iter().filter_map(found).collect())
        }
    }

    /// What happens from now on, until the store is closed. Each call makes an independent stream.
    pub fn events(&self) -> impl Stream<Item = NodeEvent> + Send + Unpin + use<> {
        self.engine.listen()
    }

    /// A tab, or whatever has the store open, says something of itself to all who are members at present, or that it is not there any
    /// more. Never stored. Others know by [`Handle::presences`], until it says so, for as long as this store is open and linked.
    ///
    /// # Errors
    /// When the value is longer than [`PRESENCE_BYTES_MAX`], or the store is closed.
    pub fn present(&self, id: PresenceId, value: Option<Value>) -> Result<(), StoreError> {
        let bytes = value.as_ref().map_or(0, |value| value.len());
        if bytes > PRESENCE_BYTES_MAX {
            return Err(StoreError::PresenceTooLarge { bytes });
        }
        self.engine.tell(Input::Present { id, value })
    }

    /// Who was present a moment ago, as another opening of this store on this device has told: they count until they say so themselves, for
    /// some seconds. `former` is what that opening was called, [`Presences::home`](gossipstore_core::presence::Presences::home), if it is over.
    ///
    /// # Errors
    /// When the store is closed.
    pub fn recall(&self, presences: Vec<(PresenceId, Value)>, former: Option<Home>) -> Result<(), StoreError> {
        self.engine.tell(Input::Recalled { presences, former })
    }

    /// Who is present, and of those what reads differently than when this was asked with that result: `since` is its `changes`, or 0.
    pub fn presences(&self, since: u64) -> News {
        self.read(|replica| replica.presences().news(since))
    }

    /// The truth about the store at this moment.
    pub fn status(&self) -> Status {
        self.engine.status()
    }

    /// Says that the network is back or another one, or that the machine has woken: connections are asked whether they live, and
    /// what waits to be tried again is tried at once. Without a word it takes some seconds longer.
    pub fn network_changed(&self) {
        self.engine.network_changed();
    }

    /// From which event an opening of the same storage may go on, once this one is closed: only one may. None when nothing was written, or
    /// not all of it is durable.
    pub fn last_event(&self) -> Option<Dot> {
        self.read(|replica| replica.last_event().filter(|_| replica.is_durable()))
    }

    /// Leaves the network politely, then ends the [`crate::Node`]. Writes fail with [`StoreError::Closed`] from now on;
    /// reads still find what was there. Resolves when the node has ended; calling it again does no harm.
    pub fn close(&self) -> impl Future<Output = ()> + 'static {
        self.engine.close()
    }
}
