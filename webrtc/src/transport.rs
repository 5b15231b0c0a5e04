//! The transport: dials with the behaviour's help, and listens wherever circuits are listened on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    channel::{mpsc, oneshot},
    future::BoxFuture,
};
use libp2p_core::{
    Multiaddr,
    transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use libp2p_identity::PeerId;
use send_wrapper::SendWrapper;

use crate::{
    address::{self, Destination},
    behaviour::Behaviour,
    config::Config,
    connection::Connection,
    error::Error,
    handshake,
    peer::is_supported,
    request::{DialRequest, NOTICES_MAX, Notice, REQUESTS_MAX, Request},
};

/// How many may be on their way in at once. Each holds a peer connection, of which browsers allow some hundred.
const INCOMING_MAX: usize = 16;

/// Makes a transport and the behaviour that belongs to it, for the peer `local`.
pub fn new(local: PeerId, config: Config) -> (Transport, Behaviour) {
    let (requests, received) = mpsc::channel(REQUESTS_MAX);
    let transport = Transport {
        config,
        requests,
        pending: None,
        listener: None,
        incoming: Arc::default(),
    };
    (transport, Behaviour::new(local, received))
}

/// Dials `<relay>/p2p-circuit/webrtc/p2p/<peer>` and listens on `/webrtc`; see [the crate](crate).
pub struct Transport {
    config: Config,
    requests: mpsc::Sender<Request>,
    /// What the behaviour is still to be told.
    pending: Option<Request>,
    listener: Option<Listener>,
    /// As often as it is held, so many are on their way in.
    incoming: Arc<()>,
}

struct Listener {
    id: ListenerId,
    notices: mpsc::Receiver<Notice>,
    /// It was removed, which is still to be told.
    closed: bool,
}

impl libp2p_core::Transport for Transport {
    type Output = (PeerId, Connection);
    type Error = Error;
    type ListenerUpgrade = BoxFuture<'static, Result<Self::Output, Self::Error>>;
    type Dial = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Error>> {
        if address != address::listen() {
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        if !is_supported() {
            return Err(TransportError::Other(Error::Unsupported));
        }
        if self.listener.is_some() {
            return Err(TransportError::Other(Error::AlreadyListening));
        }
        let (notices, received) = mpsc::channel(NOTICES_MAX);
        self.pending = Some(Request::Listen(notices));
        self.listener = Some(Listener {
            id,
            notices: received,
            closed: false,
        });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let listener = self.listener.as_mut().filter(|listener| listener.id == id);
        listener.is_some_and(|listener| {
            listener.notices.close();
            !std::mem::replace(&mut listener.closed, true)
        })
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Error>> {
        let destination = Destination::parse(&address).filter(|_| !options.role.is_listener());
        let to = destination.ok_or(TransportError::MultiaddrNotSupported(address))?;
        if !is_supported() {
            return Err(TransportError::Other(Error::Unsupported));
        }
        let (config, mut requests) = (self.config.clone(), self.requests.clone());
        let peer = to.peer;
        let dial = async move {
            let (answer, answered) = oneshot::channel();
            let request = Request::Dial(DialRequest { to, answer });
            requests.send(request).await.map_err(|_| Error::BehaviourDropped)?;
            let stream = answered.await.map_err(|_| Error::NoCircuit {
                peer,
                reason: "it was closed before the signalling stream was open".into(),
            })??;
            Ok((peer, handshake::dial(stream, &config).await?))
        };
        // The browser's objects never leave this thread; wasm has no other.
        Ok(SendWrapper::new(handshake::within(self.config.handshake_timeout, dial)).boxed())
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Error>> {
        let this = &mut *self;
        if this.pending.is_some()
            && let Poll::Ready(ready) = this.requests.poll_ready(cx)
            && let Some(request) = this.pending.take()
        {
            // Without a behaviour nothing comes in, which is as if nobody knew the address.
            let _ = ready.and_then(|()| this.requests.start_send(request));
        }
        let Some(listener) = &mut this.listener else {
            return Poll::Pending;
        };
        let listener_id = listener.id;
        if listener.closed {
            this.listener = None;
            let reason = Ok(());
            return Poll::Ready(TransportEvent::ListenerClosed { listener_id, reason });
        }
        loop {
            let Poll::Ready(Some(notice)) = listener.notices.poll_next_unpin(cx) else {
                return Poll::Pending;
            };
            return Poll::Ready(match notice {
                Notice::NewAddress(listen_addr) => TransportEvent::NewAddress {
                    listener_id,
                    listen_addr,
                },
                Notice::AddressExpired(listen_addr) => TransportEvent::AddressExpired {
                    listener_id,
                    listen_addr,
                },
                Notice::Incoming { from, .. } if Arc::strong_count(&this.incoming) > INCOMING_MAX => {
                    tracing::debug!(%from, "too many are on their way in; the signalling stream is reset");
                    continue;
                }
                Notice::Incoming { from, stream } => {
                    let (config, place) = (this.config.clone(), this.incoming.clone());
                    let accept = async move {
                        let _place = place;
                        Ok((from, handshake::accept(stream, &config).await?))
                    };
                    TransportEvent::Incoming {
                        listener_id,
                        upgrade: SendWrapper::new(handshake::within(this.config.handshake_timeout, accept)).boxed(),
                        local_addr: address::listen(),
                        send_back_addr: address::send_back(from),
                    }
                }
            });
        }
    }
}
