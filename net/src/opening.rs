//! How a store comes to be open.

use std::sync::Arc;

use gossipstore_core::{
    cache::Limits,
    disk::{Disk, Membership, Reading, Sizes},
    id::{Dot, StoreId},
    membership::Invitation,
    replica::{Config, Opened, Opening as Records, Replica},
};

use crate::{
    address::{self, RelayAddress},
    clock::Clock,
    early::Early,
    engine::Kept,
    error::OpenError,
    handle::Handle,
    keeper::Keeper,
    loading::Loading,
    membership,
    node::{Node, start},
    options::{IceServer, Options},
    status::{RelayState, RelayStatus, StorageKind},
    storage::Storage,
};

/// Opens a store: gives the future that does the work and the handle through which it is used.
///
/// What is written ends with this process. [`open_stored`] keeps it.
///
/// The store works from the moment this returns; the node has to be spawned (natively on a tokio runtime, within which
/// `open` has to be called too; in a tab with `wasm_bindgen_futures::spawn_local`) for anything to be exchanged with
/// others.
///
/// # Errors
/// When an option cannot be used, or the system gives no random bytes. Relays that cannot be reached are no error: the
/// status says so, and they are tried for ever.
pub fn open(options: Options) -> Result<(Node, Handle), OpenError> {
    let membership = membership::unkept(&options)?;
    let checked = Checked::new(options, membership)?;
    let mut clock = Clock::new();
    let replica = Replica::new(checked.config(), clock.now());
    start(checked, replica, clock, None)
}

/// As [`open`], with what `storage` keeps and will keep.
///
/// # Errors
/// As [`open`], and when what is stored cannot be read.
pub async fn open_stored(options: Options, storage: impl Storage) -> Result<(Node, Handle), OpenError> {
    Opening::begin(options, storage).await?.finish().await
}

/// A store on its way from its storage, of which the commits are read: for whoever has something to read meanwhile. [`open_stored`] does
/// all of it.
pub struct Opening {
    checked: Checked,
    goes_on_from: Option<Dot>,
    clock: Clock,
    keeper: Keeper,
    kind: StorageKind,
    loading: Loading,
    is_new: bool,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Opening {
    /// Begins to open a store.
    ///
    /// # Errors
    /// As [`open_stored`].
    pub async fn begin(options: Options, storage: impl Storage) -> Result<Self, OpenError> {
        let (goes_on_from, takes_over) = (options.goes_on_from, options.takes_over);
        let kind = storage.kind();
        let mut keeper = Keeper::new(Box::new(storage));
        let (membership, is_new) = membership::kept(&options, keeper.storage()).await?;
        let checked = Checked::new(options, membership)?;
        let mut clock = Clock::new();
        if takes_over {
            keeper.take_over(checked.disk).await?;
        }
        let records = Records::new(
            checked.config(),
            clock.now(),
            Reading::new(checked.disk, Sizes::within(&checked.cache)),
        );
        let loading = Loading::begin(keeper.storage(), records).await?;
        Ok(Self {
            checked,
            goes_on_from,
            clock,
            keeper,
            kind,
            loading,
            is_new,
        })
    }

    /// What the store is called among its members.
    pub fn store(&self) -> StoreId {
        self.checked.invitation.secret.store()
    }

    /// Whether nothing was stored.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// What can be had before all is loaded; `None` when that is nothing, as an older version has stored it, or when there is next to
    /// nothing to load.
    pub fn early(&mut self) -> Option<Early> {
        let (glimpse, totals) = self.loading.opening().glimpse()?;
        Some(Early {
            store: self.store(),
            glimpse,
            totals,
            reader: self.keeper.storage().reader(),
            kind: self.kind,
            relays: self.checked.shown_relays(),
        })
    }

    /// Loads all.
    ///
    /// # Errors
    /// As [`open_stored`].
    pub async fn finish(mut self) -> Result<(Node, Handle), OpenError> {
        let (replica, disk) = match self.loading.finish(self.keeper.storage()).await? {
            Some(Opened { mut replica, disk }) => {
                if let Some(last) = self.goes_on_from {
                    replica.go_on_from(last);
                }
                (replica, disk)
            }
            None => {
                let replica = Replica::new(self.checked.config(), self.clock.now());
                let sizes = Sizes::within(&self.checked.cache);
                (replica, Disk::new(self.checked.disk, sizes))
            }
        };
        let kept = Kept {
            disk,
            kind: self.kind,
            reader: Arc::from(self.keeper.storage().reader()),
        };
        let kept = Some((self.keeper, kept));
        start(self.checked, replica, self.clock, kept)
    }
}

/// Options in which nothing can be wrong any more, and what the system had to give for them.
pub(crate) struct Checked {
    /// What others are invited by.
    pub(crate) invitation: Invitation,
    pub(crate) relays: Vec<RelayAddress>,
    pub(crate) ice: Vec<IceServer>,
    /// What its disk bears, so that it is not mistaken for another's.
    disk: StoreId,
    cache: Limits,
    seed: [u8; 32],
}

impl Checked {
    fn new(options: Options, membership: Membership) -> Result<Self, OpenError> {
        let relays = address::parse(&membership.relays)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| refused(&error))?;
        Ok(Self {
            disk: StoreId::from_name(&options.name),
            invitation: Invitation {
                name: options.name,
                secret: membership.secret,
                relays: membership.relays,
                expires: None,
            },
            relays,
            ice: options.ice,
            cache: options.cache,
            seed,
        })
    }

    fn config(&self) -> Config {
        Config {
            values: self.cache,
            ..Config::new(self.invitation.secret.store(), self.seed)
        }
    }

    /// The relays as they are shown before any is reached.
    pub(crate) fn shown_relays(&self) -> Vec<RelayStatus> {
        let shown = |address: &RelayAddress| RelayStatus {
            address: address.given.clone(),
            state: RelayState::Connecting,
            error: None,
        };
        self.relays.iter().map(shown).collect()
    }
}

/// The system does not give what is needed.
pub(crate) fn refused(error: &impl ToString) -> OpenError {
    let reason = error.to_string();
    OpenError::System { reason }
}
