//! The node: WebSocket to the relay, circuits over it, direct connections beside them, and what happens on them.

use std::{
    collections::{HashSet, VecDeque},
    error::Error,
    rc::Rc,
    time::Duration,
};

use futures::{StreamExt as _, channel::mpsc};
use libp2p::{
    Multiaddr, PeerId, Swarm, Transport as _,
    core::{muxing::StreamMuxerBox, transport::OrTransport, upgrade::Version},
    gossipsub, identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise, relay,
    swarm::{
        self, ConnectionId, NetworkBehaviour, SwarmEvent,
        behaviour::toggle::Toggle,
        dial_opts::{DialOpts, PeerCondition},
    },
    websocket_websys, yamux,
};
use libp2p_webrtc_browser as webrtc;
use wasm_bindgen_futures::spawn_local;

use crate::{
    direct::{DirectOnly, is_direct},
    streams::{Incoming, Streams},
    watched::Watched,
};

/// Nothing is closed for being idle while a test is at something else.
const IDLE_PATIENCE: Duration = Duration::from_secs(3_600);

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    relay: relay::client::Behaviour,
    webrtc: webrtc::Behaviour,
    identify: identify::Behaviour,
    pub(crate) streams: DirectOnly<Streams>,
    pub(crate) gossip: Toggle<DirectOnly<gossipsub::Behaviour>>,
}

/// What has happened.
#[derive(Default)]
pub(crate) struct Seen {
    /// The connections that stand, and whether they are direct.
    pub(crate) connections: Vec<(PeerId, ConnectionId, bool)>,
    /// Where this node is reached directly.
    pub(crate) address: Option<Multiaddr>,
    /// The dials that failed, and why.
    pub(crate) failures: Vec<(ConnectionId, String)>,
    /// Who has subscribed to which topic.
    pub(crate) subscribers: HashSet<(PeerId, String)>,
    /// The messages that were gossiped and not looked at.
    pub(crate) messages: VecDeque<Vec<u8>>,
}

type Command = Box<dyn FnOnce(&mut Swarm<Behaviour>)>;

/// A node, which runs for as long as its page.
pub(crate) struct Node {
    pub(crate) id: PeerId,
    pub(crate) seen: Rc<Watched<Seen>>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Node {
    /// Starts a node that can be reached through `relay`, if one is given; beside it the streams that others open.
    pub(crate) fn start(
        relay: Option<Multiaddr>,
        gossips: bool,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Incoming>), Box<dyn Error>> {
        let (mut swarm, incoming) = swarm(gossips)?;
        if let Some(relay) = relay {
            swarm.listen_on(relay.with(Protocol::P2pCircuit))?;
            swarm.listen_on(Protocol::WebRTC.into())?;
        }
        let (commands, mut received) = mpsc::unbounded::<Command>();
        let node = Self {
            id: *swarm.local_peer_id(),
            seen: Rc::default(),
            commands,
        };
        let seen = node.seen.clone();
        spawn_local(async move {
            loop {
                futures::select! {
                    command = received.select_next_some() => command(&mut swarm),
                    event = swarm.select_next_some() => seen.change(|seen| seen.note(event)),
                }
            }
        });
        Ok((node, incoming))
    }

    pub(crate) async fn ask<T: 'static>(&self, question: impl FnOnce(&mut Swarm<Behaviour>) -> T + 'static) -> T {
        let (answer, answered) = futures::channel::oneshot::channel();
        let command: Command = Box::new(|swarm| drop(answer.send(question(swarm))));
        self.commands
            .unbounded_send(command)
            .expect("the node runs as long as its page");
        answered.await.expect("the node runs as long as its page")
    }

    /// Dials, whatever stands already. Resolves when a connection stands.
    pub(crate) async fn dial(&self, peer: PeerId, address: Multiaddr) -> Result<(), String> {
        let dial = DialOpts::peer_id(peer)
            .addresses(vec![address])
            .condition(PeerCondition::Always)
            .build();
        let connection = dial.connection_id();
        let begun = self.ask(move |swarm| swarm.dial(dial)).await;
        begun.map_err(|error| format!("{error:?}"))?;
        self.seen
            .until(|seen| {
                if seen.connections.iter().any(|(_, id, _)| *id == connection) {
                    return Some(Ok(()));
                }
                let failure = seen.failures.iter().find(|(id, _)| *id == connection);
                failure.map(|(_, why)| Err(why.clone()))
            })
            .await
    }
}

impl Seen {
    fn note(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.connections.push((peer_id, connection_id, is_direct(&endpoint))),
            SwarmEvent::ConnectionClosed { connection_id, .. } => {
                self.connections.retain(|(_, id, _)| *id != connection_id);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id, error, ..
            } => self.failures.push((connection_id, format!("{error:?}"))),
            SwarmEvent::NewListenAddr { address, .. } if address.iter().any(|part| part == Protocol::WebRTC) => {
                self.address = Some(address);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Subscribed { peer_id, topic })) => {
                self.subscribers.insert((peer_id, topic.into_string()));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message { message, .. })) => {
                self.messages.push_back(message.data);
            }
            _ => {}
        }
    }
}

fn swarm(gossips: bool) -> Result<(Swarm<Behaviour>, mpsc::UnboundedReceiver<Incoming>), Box<dyn Error>> {
    let keypair = Keypair::generate_ed25519();
    let peer = keypair.public().to_peer_id();
    let (circuits, relay) = relay::client::new(peer);
    let (direct, webrtc) = webrtc::new(peer, webrtc::Config::default());
    let relayed = OrTransport::new(circuits, websocket_websys::Transport::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(&keypair)?)
        .multiplex(yamux::Config::default())
        .boxed();
    // First, as the relay client would take these addresses for its own.
    let transport = direct
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)))
        .or_transport(relayed)
        .map(|either, _| either.into_inner())
        .boxed();
    let (streams, incoming) = Streams::new();
    let gossip = gossips.then(|| {
        let author = gossipsub::MessageAuthenticity::Signed(keypair.clone());
        gossipsub::Behaviour::new(author, gossipsub::Config::default()).map(DirectOnly)
    });
    let behaviour = Behaviour {
        relay,
        webrtc,
        identify: identify::Behaviour::new(identify::Config::new("/interop/1".into(), keypair.public())),
        streams,
        gossip: gossip.transpose()?.into(),
    };
    let config = swarm::Config::with_wasm_executor().with_idle_connection_timeout(IDLE_PATIENCE);
    Ok((Swarm::new(transport, behaviour, peer, config), incoming))
}
