//! Relays, members, and waiting for them.

use std::{net::SocketAddr, sync::Once, time::Duration};

use futures::{Stream, StreamExt as _, channel::oneshot};
use gossipstore_core::{
    causality::Context,
    id::Digest,
    replica::{Change, Write},
};
use gossipstore_net::{Handle, NodeEvent, Options, RelayState, Secret, Status, open};
use gossipstore_relay::{Identity, Limits, Relay};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How long anything may take. Far longer than it does: only a failure reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A relay that runs.
pub(crate) struct RunningRelay {
    pub(crate) address: String,
    identity: Identity,
    socket: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl RunningRelay {
    pub(crate) async fn start() -> Self {
        Self::start_as(Identity::fresh(), Limits::default(), "127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_as(identity: Identity, limits: Limits, socket: SocketAddr) -> Self {
        log();
        let options = gossipstore_relay::Options {
            limits,
            ..gossipstore_relay::Options::new(socket, identity.clone())
        };
        let relay = Relay::start(options).await.unwrap();
        let address = relay.addresses()[0].to_string();
        let port = address.split('/').nth(4).unwrap().parse().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(relay.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            identity,
            socket: SocketAddr::new(socket.ip(), port),
            stop,
            task,
        }
    }

    /// Stops it; gives what is needed to start it again.
    pub(crate) async fn stop(self) -> StoppedRelay {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        StoppedRelay {
            identity: self.identity,
            socket: self.socket,
        }
    }
}

/// A relay that can be started again as the same, in the same place.
pub(crate) struct StoppedRelay {
    identity: Identity,
    socket: SocketAddr,
}

impl StoppedRelay {
    pub(crate) async fn start(self) -> RunningRelay {
        RunningRelay::start_as(self.identity, Limits::default(), self.socket).await
    }
}

/// A way to a relay that can be cut without either end being told.
pub(crate) struct Cable {
    /// The relay's address at this end.
    pub(crate) address: String,
    whole: watch::Sender<bool>,
}

impl Cable {
    pub(crate) async fn lay(relay: &RunningRelay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = relay
            .address
            .replace(&format!("/{}/", relay.socket.port()), &format!("/{port}/"));
        let (whole, is_whole) = watch::channel(true);
        let socket = relay.socket;
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let is_whole = is_whole.clone();
                tokio::spawn(async move {
                    let far = TcpStream::connect(socket).await.unwrap();
                    let (near, far) = (near.into_split(), far.into_split());
                    let there = carry(near.0, far.1, is_whole.clone());
                    let back = carry(far.0, near.1, is_whole);
                    // Either way's end is the end of both.
                    tokio::select! { () = there => {}, () = back => {} }
                });
            }
        });
        Self { address, whole }
    }

    pub(crate) fn pull(&self) {
        self.whole.send(false).unwrap();
    }

    pub(crate) fn mend(&self) {
        self.whole.send(true).unwrap();
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_whole: watch::Receiver<bool>) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if is_whole.wait_for(|whole| *whole).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// An open store whose node runs.
pub(crate) struct Member {
    pub(crate) handle: Handle,
    task: JoinHandle<()>,
}

impl Member {
    pub(crate) fn open(store: &str, relays: &[&RunningRelay]) -> Self {
        Self::open_at(store, relays.iter().map(|relay| relay.address.clone()))
    }

    pub(crate) fn open_at(store: &str, relays: impl IntoIterator<Item = String>) -> Self {
        Self::listening_at(store, relays.into_iter().collect()).0
    }

    /// With all that happens from the beginning: a store may be whole before one can begin to listen.
    pub(crate) fn listening(
        store: &str,
        relay: &RunningRelay,
    ) -> (Self, impl Stream<Item = NodeEvent> + Unpin + use<>) {
        Self::listening_at(store, vec![relay.address.clone()])
    }

    fn listening_at(store: &str, relays: Vec<String>) -> (Self, impl Stream<Item = NodeEvent> + Unpin + use<>) {
        log();
        let (node, handle) = open(Options::new(store).secret(Secret::of_name(store)).relays(relays)).unwrap();
        let events = handle.events();
        let task = tokio::spawn(node.run());
        (Self { handle, task }, events)
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        self.handle.transact(vec![put(key, value, None)]).await.unwrap();
    }

    pub(crate) async fn put_many(&self, keys: std::ops::Range<usize>, value: &str) {
        for key in keys {
            self.put(&format!("key {key:05}"), value).await;
        }
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.handle
            .transact(vec![Write::Delete {
                key: key.into(),
                context: None,
            }])
            .await
            .unwrap();
    }

    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.handle.read(|replica| {
            let value = replica.get(key)?.here()?;
            Some(String::from_utf8(value.to_vec()).unwrap())
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.handle.read(|replica| replica.len())
    }

    /// All values under a key, sorted, and the context that supersedes them.
    pub(crate) fn siblings(&self, key: &str) -> (Vec<String>, Context) {
        let siblings = self.handle.read(|replica| replica.siblings(key));
        let mut values = siblings
            .values
            .iter()
            .map(|sibling| String::from_utf8(sibling.body.here().unwrap().to_vec()).unwrap())
            .collect::<Vec<_>>();
        values.sort();
        (values, siblings.context)
    }

    pub(crate) fn digest(&self) -> Digest {
        self.handle.read(|replica| replica.digest())
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        // Listening begins before the first look, so that nothing falls between.
        let mut events = self.handle.events();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so(self) {
                events.next().await.expect("the node runs");
            }
        });
        if waited.await.is_err() {
            panic!("waited in vain for: {what}\n{:#?}", self.handle.status());
        }
    }

    /// Waits until a status is so.
    pub(crate) async fn until_status(&self, what: &str, is_so: impl Fn(&Status) -> bool) {
        self.until(what, |member| is_so(&member.handle.status())).await;
    }

    /// Waits until the first relay holds a place for it.
    pub(crate) async fn until_reserved(&self) {
        self.until_status("a reservation", |status| {
            status.relays[0].state == RelayState::Connected
        })
        .await;
    }

    /// Waits until it has so many peers, all known to hold what it holds.
    pub(crate) async fn until_in_sync_with(&self, count: usize) {
        self.until_status(&format!("being in sync with {count}"), |status| {
            status.peers.len() == count && status.peers.iter().all(|peer| peer.in_sync)
        })
        .await;
    }

    /// Ends it without a word, as a crash does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Ends it politely.
    pub(crate) async fn close(self) {
        self.handle.close().await;
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("a closed node ends")
            .unwrap();
    }
}

/// A write of a text.
pub(crate) fn put(key: &str, value: &str, context: Option<Context>) -> Write {
    Write::Put {
        key: key.into(),
        value: value.as_bytes().into(),
        context,
    }
}

/// The next batch of changes.
pub(crate) async fn next_changes(events: &mut (impl Stream<Item = NodeEvent> + Unpin)) -> Vec<Change> {
    let changes = async {
        loop {
            if let NodeEvent::Changed(changes) = events.next().await.expect("the node runs") {
                return changes;
            }
        }
    };
    tokio::time::timeout(PATIENCE, changes)
        .await
        .expect("something changes")
}

/// Shows what the nodes say when RUST_LOG asks for it.
fn log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .init();
    });
}
