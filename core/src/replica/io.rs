//! The whole surface between the engine and its driver: what goes in, what comes out.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use crate::{
    causality::{Absent, Body, Context, Fork, Key, Value},
    id::{Dot, Home, Peer, PresenceId},
    store::{Batch, BatchId, Call, Change},
    sync::SessionError,
    time::Hlc,
};

/// Names a command, so that its [`Output::Reply`] can be told from others. Chosen by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u64);

/// One change that a person or program makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    /// Write `value` under `key`.
    Put {
        /// Where.
        key: Key,
        /// What, as opaque bytes.
        value: Value,
        /// The siblings the writer saw, from [`super::Replica::siblings`]; `None` stands for all that are here now.
        context: Option<Context>,
    },
    /// Remove what is under `key`. Without an event when nothing is there.
    Delete {
        /// Where.
        key: Key,
        /// As for `Put`.
        context: Option<Context>,
    },
    /// Add to the counter under `key`, which begins at 0. Refused where the winner is no counter. It has no context: what it supersedes
    /// is this author's own subtotal.
    Add {
        /// Where.
        key: Key,
        /// How much; negative to take away.
        amount: i64,
    },
}

/// What a caller asks the engine to do. Each is answered by one [`Output::Reply`].
///
/// A command is carried out before [`super::Replica::handle`] returns, unless it makes more than a thousand writes or has to wait. One
/// with more writes is carried out in slices, between which its caller still reads what was before, and the commands after it wait.
/// While a long session is being taken in, a command waits for that, and supersedes what was visible when it came, not what the session
/// brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Make all the writes one transaction: seen whole or not at all, here and on every replica. When a key is written twice,
    /// the last write counts; what is added to a key is summed.
    Transact(Vec<Write>),
    /// Delete every key, in as few transactions as the size of a transaction allows (one, up to 65,536 keys).
    Clear,
}

/// What the driver tells the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A caller's wish. Answered by [`Output::Reply`] with the same id, once the change is durable.
    Command {
        /// Comes back in the reply.
        id: CommandId,
        /// The wish.
        command: Command,
    },
    /// The wish of a caller that makes it again, under the same name, when it is not answered by this process: to another that has
    /// opened what this one stored. It is carried out once in all. For that nothing leaves for the peers until it is durable; a
    /// command is gossiped at once.
    Call {
        /// Comes back in the reply.
        id: CommandId,
        /// Its name. The caller may be [`CALLS_WAITING_MAX`](crate::store::CALLS_WAITING_MAX) numbers ahead of its oldest call that is
        /// not answered, and makes those again in their order.
        call: Call,
        /// The wish.
        command: Command,
    },
    /// Frames can be exchanged with this peer from now on, in order and without loss until `PeerDown`, and what is gossiped
    /// from now on reaches it. The engine opens a session.
    PeerUp {
        /// The driver's number for the peer. One that comes back had better get its number again: what was agreed on before is
        /// remembered by it, and makes the next session short.
        peer: Peer,
    },
    /// The connection is gone. A session under way is dropped without a trace in the visible state.
    PeerDown {
        /// The number it was announced with.
        peer: Peer,
    },
    /// One whole frame from a peer.
    Received {
        /// Who sent it.
        peer: Peer,
        /// At most [`crate::wire::FRAME_BYTES_MAX`]; longer ones are refused.
        frame: Vec<u8>,
    },
    /// All frames handed out for this peer by [`Output::Send`] have left; the engine may hand out more. Give it whenever the
    /// peer's queue runs empty after a `Send`.
    Drained {
        /// The peer whose queue is empty.
        peer: Peer,
    },
    /// A message came by gossip.
    Gossiped {
        /// Who handed it to us (not who wrote it), if it is a peer that is up; a session with it may be opened for what is lacking.
        peer: Option<Peer>,
        /// The message.
        message: Vec<u8>,
    },
    /// A batch and all before it are on the disk and survive a crash.
    Persisted {
        /// The id of the last [`Output::Persist`] that is.
        id: BatchId,
    },
    /// What was handed out cannot be stored at present. What it holds is visible and perhaps gossiped, but not durable: the commands that
    /// wait for it fail, and later ones are refused before anything is changed, until [`Input::Persisted`] says that storage works again;
    /// where there is no room, all but those that only delete.
    /// What peers send is still taken in, and handed out to be stored after it. The driver must not store a later batch before an
    /// earlier: the disk would hold a vector that covers events it does not hold.
    PersistFailed {
        /// Why.
        failure: StorageFailure,
    },
    /// The values of these entries can be read from the disk from now on: they may leave memory.
    Kept {
        /// The entries.
        dots: Vec<Dot>,
    },
    /// What was read of values that are not in memory: answers [`Output::Load`], or shares what a reader has asked for by itself. `None`
    /// says that the disk does not hold what it should: the value is fetched from a peer. Without any, it could not be read.
    Loaded {
        /// Whom it was to be loaded for; `None` for a reader.
        peer: Option<Peer>,
        /// The values.
        values: Vec<(Dot, Option<Value>)>,
    },
    /// A tab says something of itself to all who are members at present, or that it is not there any more. Nothing answers. A longer value
    /// than [`PRESENCE_BYTES_MAX`](crate::wire::PRESENCE_BYTES_MAX) is not said: the driver refuses it.
    Present {
        /// Which tab.
        id: PresenceId,
        /// What; none for one that leaves.
        value: Option<Value>,
    },
    /// Who was present a moment ago, by what another replica of this store has told on this device. It counts until they say so
    /// themselves, for some seconds.
    Recalled {
        /// What they said.
        presences: Vec<(PresenceId, Value)>,
        /// The home that this replica takes the place of, if that is known: what others still say of it is over.
        former: Option<Home>,
    },
    /// The time that [`super::Replica::poll_timeout`] named has come.
    Tick,
}

/// What the engine asks the driver to do. After each input, drain them all before the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Hand a frame to a peer, in order.
    Send {
        /// To whom.
        peer: Peer,
        /// One whole frame; the driver delimits it.
        frame: Vec<u8>,
    },
    /// Gossip a message to all members. May be lost.
    Broadcast {
        /// At most [`super::Config::gossip_bytes_max`] bytes.
        message: Vec<u8>,
    },
    /// Store a batch in one atomic step, in the order of their ids, alone or together with others, and report [`Input::Persisted`].
    Persist {
        /// Comes back in `Persisted`.
        id: BatchId,
        /// What changes together.
        batch: Batch,
    },
    /// Read these values from the disk and report [`Input::Loaded`]. The peer's session goes on then.
    Load {
        /// Comes back in `Loaded`.
        peer: Peer,
        /// What to read.
        absent: Vec<Absent>,
    },
    /// Something that callers may want to know.
    Emit(Event),
    /// The answer to a command.
    Reply {
        /// The command's id.
        id: CommandId,
        /// What became of it.
        result: Result<(), CommandError>,
    },
}

/// Something that happened to the replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// These keys read differently than before. One event per transaction or session: what belongs together comes together.
    Changed(Vec<Change>),
    /// A session moved on.
    Progress {
        /// With whom.
        peer: Peer,
        /// Events received so far.
        done: u64,
        /// Events that this session will bring, as far as known.
        expected: u64,
    },
    /// A peer's session ended: all that it had is here.
    Received {
        /// From whom.
        peer: Peer,
    },
    /// What is known about whether a peer holds the same state has changed; see [`super::Replica::in_sync`].
    SyncChanged {
        /// Which peer.
        peer: Peer,
    },
    /// A key had more siblings than [`super::Config::siblings_max`] for some seconds, and a merge event of this replica has dropped those
    /// of the lowest rank.
    SiblingsDropped {
        /// The key.
        key: Key,
        /// How many values are gone for it, beyond those that were there twice.
        values: usize,
    },
    /// An author has made two transactions or events under one dot, or somebody says so: the first that is known of that author. What both
    /// are of one dot and differ in is dead on every replica in the end.
    Forked(Fork),
    /// Somebody is present that was not, is not any more, or says something else; see [`super::Replica::presences`].
    PresenceChanged,
    /// A peer handed us gossip that is wrong; another may have made it. Nothing visible changed.
    GossipRefused {
        /// Which peer.
        peer: Peer,
        /// What was wrong.
        error: SessionError,
    },
    /// A peer sent something it should not have, or fell silent in a session. Nothing visible changed.
    SessionFailed {
        /// Which peer.
        peer: Peer,
        /// What was wrong.
        error: SessionError,
    },
}

/// One of the concurrent values of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sibling {
    /// The value.
    pub body: Body,
    /// The event that wrote it. Its author is one writing open of a replica.
    pub dot: Dot,
    /// When, by the writer's hybrid logical clock.
    pub time: Hlc,
}

/// What a key holds, with the token to supersede exactly that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Siblings {
    /// The values, the winner first. Equal values are listed once.
    pub values: Vec<Sibling>,
    /// Hand this back when writing.
    pub context: Context,
}

/// Why storage takes nothing at present.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageFailure {
    /// The storage's own words.
    pub reason: Arc<str>,
    /// Whether there is no room.
    pub is_full: bool,
}

/// Why a command was not carried out. Where it says so, nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// A key is empty. Nothing was changed.
    KeyEmpty,
    /// A key is longer than [`crate::wire::KEY_BYTES_MAX`]. Nothing was changed.
    KeyTooLong {
        /// Its length in bytes of UTF-8.
        bytes: usize,
    },
    /// A value is longer than [`crate::wire::VALUE_BYTES_MAX`]. Nothing was changed.
    ValueTooLarge {
        /// Its length in bytes.
        bytes: usize,
    },
    /// More writes than a transaction may hold, [`crate::wire::TXN_EVENTS_MAX`]. Nothing was changed.
    TransactionTooLarge {
        /// How many writes it has.
        events: usize,
    },
    /// Something is added to a key that holds a plain value. Nothing was changed.
    NotACounter {
        /// The key.
        key: Key,
    },
    /// A transaction adds to a key and writes or deletes it as well. Nothing was changed.
    CounterWritten {
        /// The key.
        key: Key,
    },
    /// What this author has added to a key would leave the range of an `i64`. Nothing was changed.
    CounterOverflow {
        /// The key.
        key: Key,
    },
    /// The change was made and is visible, but storage does not take it at present: it is lost if the process ends before that works again.
    NotDurable(StorageFailure),
    /// Storage takes nothing at present. Nothing was changed.
    StorageFails(StorageFailure),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyEmpty => write!(f, "the key is empty; use a non-empty string"),
            Self::KeyTooLong { bytes } => {
                write!(
                    f,
                    "the key has {bytes} bytes of UTF-8; at most {} are allowed",
                    crate::wire::KEY_BYTES_MAX
                )
            }
            Self::ValueTooLarge { bytes } => write!(
                f,
                "the value takes {bytes} bytes; at most {} are allowed: split it over several keys",
                crate::wire::VALUE_BYTES_MAX
            ),
            Self::TransactionTooLarge { events } => write!(
                f,
                "the transaction has {events} writes; at most {} are allowed: split it, or use setMany",
                crate::wire::TXN_EVENTS_MAX
            ),
            Self::NotACounter { key } => write!(
                f,
                "the key {key:?} holds a value that is no counter; delete it first, or count under another key"
            ),
            Self::CounterWritten { key } => write!(
                f,
                "the transaction adds to {key:?} and writes or deletes it as well; do the one or the other"
            ),
            Self::CounterOverflow { key } => write!(
                f,
                "the counter {key:?} would leave the range of 64-bit integers; delete the key to begin again at 0"
            ),
            Self::NotDurable(StorageFailure { reason, .. }) => {
                write!(f, "the change is visible and not stored: {reason}")
            }
            Self::StorageFails(StorageFailure { reason, .. }) => write!(f, "nothing was changed: {reason}"),
        }
    }
}

impl core::error::Error for CommandError {}
