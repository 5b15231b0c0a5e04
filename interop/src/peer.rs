//! What a test can do with the node. `peer.ts` says what each method is for.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    io,
    rc::Rc,
};

use futures::{
    AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _,
    io::{ReadHalf, WriteHalf},
    stream,
};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, gossipsub::IdentTopic, multiaddr::Protocol};
use wasm_bindgen::{JsError, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;

use crate::{
    node::Node,
    pattern,
    streams::{BY_HAND, ECHO},
    watched::Watched,
};

/// How much is read or written at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A node, and the streams that the test has in hand.
#[wasm_bindgen]
pub struct RustPeer {
    node: Node,
    streams: Rc<Streams>,
}

/// The streams in hand, by number.
#[derive(Default)]
struct Streams {
    last: Cell<u32>,
    readers: RefCell<HashMap<u32, ReadHalf<Stream>>>,
    writers: RefCell<HashMap<u32, WriteHalf<Stream>>>,
    /// Those that the other side opened and the test has not asked for.
    accepted: Watched<VecDeque<u32>>,
}

impl Streams {
    fn insert(&self, stream: Stream) -> u32 {
        self.last.set(self.last.get() + 1);
        let (reader, writer) = stream.split();
        self.readers.borrow_mut().insert(self.last.get(), reader);
        self.writers.borrow_mut().insert(self.last.get(), writer);
        self.last.get()
    }
}

#[wasm_bindgen]
impl RustPeer {
    /// Starts the node.
    pub fn start(relay: Option<String>, gossips: bool) -> Result<RustPeer, JsError> {
        let relay = relay.map(|relay| relay.parse()).transpose()?;
        let (node, mut incoming) = Node::start(relay, gossips).map_err(|error| JsError::new(&error.to_string()))?;
        let streams = Rc::<Streams>::default();
        let inserted = streams.clone();
        spawn_local(async move {
            while let Some(incoming) = incoming.next().await {
                if incoming.by_hand {
                    let number = inserted.insert(incoming.stream);
                    inserted.accepted.change(|accepted| accepted.push_back(number));
                } else {
                    // Whoever asked may be gone.
                    spawn_local(async move { drop(echo(incoming.stream).await) });
                }
            }
        });
        Ok(Self { node, streams })
    }

    pub fn id(&self) -> String {
        self.node.id.to_string()
    }

    pub async fn address(&self) -> String {
        self.node.seen.until(|seen| seen.address.clone()).await.to_string()
    }

    pub async fn dial(&self, address: &str) -> Result<(), JsError> {
        let address: Multiaddr = address.parse()?;
        let Some(Protocol::P2p(peer)) = address.iter().last() else {
            return Err(JsError::new("the address names no peer"));
        };
        let dialled = self.node.dial(peer, address).await;
        dialled.map_err(|why| JsError::new(&why))
    }

    pub fn paths(&self, peer: &str) -> Result<Vec<String>, JsError> {
        let peer: PeerId = peer.parse()?;
        let paths = self.node.seen.look(|seen| {
            let known = seen.connections.iter().filter(|(of, ..)| *of == peer);
            known
                .map(|(.., direct)| if *direct { "direct" } else { "circuit" })
                .map(String::from)
                .collect()
        });
        Ok(paths)
    }

    pub async fn connected(&self, peer: &str) -> Result<(), JsError> {
        self.until_direct(peer, true).await
    }

    pub async fn disconnected(&self, peer: &str) -> Result<(), JsError> {
        self.until_direct(peer, false).await
    }

    pub async fn disconnect(&self, peer: &str) -> Result<(), JsError> {
        let peer: PeerId = peer.parse()?;
        let direct = self.node.seen.look(|seen| {
            let direct = seen.connections.iter().filter(|(of, _, direct)| *of == peer && *direct);
            direct.map(|(_, id, _)| *id).collect::<Vec<_>>()
        });
        self.node
            .ask(move |swarm| direct.into_iter().all(|connection| swarm.close_connection(connection)))
            .await
            .then_some(())
            .ok_or_else(|| JsError::new("there was no connection"))
    }

    pub async fn open(&self, peer: &str) -> Result<u32, JsError> {
        Ok(self.streams.insert(self.open_stream(peer.parse()?, BY_HAND).await?))
    }

    pub async fn accept(&self) -> u32 {
        self.streams.accepted.until(VecDeque::pop_front).await
    }

    pub async fn write(&self, stream: u32, bytes: usize) -> Result<(), JsError> {
        let mut writer = take(&self.streams.writers, stream)?;
        let written = write_pattern(&mut writer, bytes).await;
        self.streams.writers.borrow_mut().insert(stream, writer);
        Ok(written?)
    }

    pub async fn finish(&self, stream: u32) -> Result<(), JsError> {
        let mut writer = take(&self.streams.writers, stream)?;
        let finished = writer.close().await;
        self.streams.writers.borrow_mut().insert(stream, writer);
        Ok(finished?)
    }

    #[wasm_bindgen(js_name = readToEnd)]
    pub async fn read_to_end(&self, stream: u32) -> Result<usize, JsError> {
        let mut reader = take(&self.streams.readers, stream)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut total = 0;
        loop {
            let count = reader.read(&mut buffer).await?;
            if count == 0 {
                break;
            }
            if let Some(place) = pattern::flaw(total, &buffer[..count]) {
                return Err(JsError::new(&format!("byte {place} is not the one that was sent")));
            }
            total += count;
        }
        self.streams.readers.borrow_mut().insert(stream, reader);
        Ok(total)
    }

    pub fn reset(&self, stream: u32) -> Result<(), JsError> {
        // A stream that is dropped unclosed is reset.
        self.drop_stream(stream)
    }

    #[wasm_bindgen(js_name = stopReading)]
    pub fn stop_reading(&self, stream: u32) -> Result<(), JsError> {
        // One that was closed for writing is not.
        self.drop_stream(stream)
    }

    pub async fn echoes(&self, peer: &str, count: usize, at_once: usize) -> Result<usize, JsError> {
        let peer: PeerId = peer.parse()?;
        let mut answers = stream::iter(0..count)
            .map(|number| self.ask(peer, number))
            .buffer_unordered(at_once);
        let mut good = 0;
        while let Some(answer) = answers.next().await {
            good += usize::from(answer?);
        }
        Ok(good)
    }

    pub async fn subscribe(&self, topic: String) -> Result<(), JsError> {
        self.node
            .ask(move |swarm| {
                let gossip = swarm.behaviour_mut().gossip.as_mut();
                gossip.map(|gossip| gossip.0.subscribe(&IdentTopic::new(topic)))
            })
            .await
            .ok_or_else(|| JsError::new("this node does not gossip"))??;
        Ok(())
    }

    pub async fn subscribed(&self, peer: &str, topic: String) -> Result<(), JsError> {
        let subscriber = (peer.parse()?, topic);
        let seen = &self.node.seen;
        seen.until(|seen| seen.subscribers.contains(&subscriber).then_some(()))
            .await;
        Ok(())
    }

    pub async fn publish(&self, topic: String, bytes: usize) -> Result<(), JsError> {
        let mut message = vec![0; bytes];
        pattern::fill(0, &mut message);
        self.node
            .ask(move |swarm| {
                let gossip = swarm.behaviour_mut().gossip.as_mut();
                gossip.map(|gossip| gossip.0.publish(IdentTopic::new(topic), message))
            })
            .await
            .ok_or_else(|| JsError::new("this node does not gossip"))??;
        Ok(())
    }

    pub async fn message(&self) -> Result<usize, JsError> {
        let message = self.node.seen.until(|seen| seen.messages.pop_front()).await;
        match pattern::flaw(0, &message) {
            None => Ok(message.len()),
            Some(place) => Err(JsError::new(&format!("byte {place} is not the one that was published"))),
        }
    }
}

impl RustPeer {
    fn drop_stream(&self, stream: u32) -> Result<(), JsError> {
        take(&self.streams.readers, stream)?;
        take(&self.streams.writers, stream)?;
        Ok(())
    }

    async fn until_direct(&self, peer: &str, wanted: bool) -> Result<(), JsError> {
        let peer: PeerId = peer.parse()?;
        let is_wanted = |stands: bool| (stands == wanted).then_some(());
        let seen = &self.node.seen;
        seen.until(|seen| is_wanted(seen.connections.iter().any(|(of, _, direct)| *of == peer && *direct)))
            .await;
        Ok(())
    }

    async fn open_stream(&self, peer: PeerId, protocol: StreamProtocol) -> Result<Stream, JsError> {
        let opened = self
            .node
            .ask(move |swarm| swarm.behaviour_mut().streams.0.open(peer, protocol));
        let opened = opened.await.await;
        Ok(opened.map_err(|_| JsError::new("the connection is gone"))??)
    }

    /// Sends some bytes, and says whether the same came back.
    async fn ask(&self, peer: PeerId, number: usize) -> Result<bool, JsError> {
        let mut question = vec![0; 16 + number % 100];
        pattern::fill(number, &mut question);
        let mut stream = self.open_stream(peer, ECHO).await?;
        stream.write_all(&question).await?;
        stream.close().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer == question)
    }
}

fn take<T>(halves: &RefCell<HashMap<u32, T>>, stream: u32) -> Result<T, JsError> {
    let half = halves.borrow_mut().remove(&stream);
    half.ok_or_else(|| JsError::new("the stream is not in hand, or in use"))
}

async fn write_pattern(writer: &mut WriteHalf<Stream>, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    for start in (0..bytes).step_by(CHUNK_BYTES) {
        let chunk = &mut buffer[..CHUNK_BYTES.min(bytes - start)];
        pattern::fill(start, chunk);
        writer.write_all(chunk).await?;
    }
    Ok(())
}

async fn echo(mut stream: Stream) -> io::Result<()> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    stream.write_all(&bytes).await?;
    stream.close().await
}
