//! Peers that do not keep to the protocol, and places that have none.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use js_sys::{Function, Promise, Reflect, Uint8Array};
use libp2p::{Stream, multiaddr::Protocol};
use libp2p_webrtc_browser::Config;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Client, ECHO, Relay, SIGNALING, within};

const OFFER: u8 = 0;
const ANSWER: u8 = 1;
const CANDIDATE: u8 = 2;

/// A signalling message, as the specification has it.
fn signal(kind: u8, data: &str) -> Vec<u8> {
    let varint = |mut value: usize| {
        let mut bytes = Vec::new();
        while value >= 128 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let mut body = vec![8, kind, 18];
    body.extend(varint(data.len()));
    body.extend(data.as_bytes());
    [varint(body.len()), body].concat()
}

/// The next message, or none when the other side has said all.
async fn receive(stream: &mut Stream) -> Option<(u8, String)> {
    let (mut length, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await.expect("a message or the end") == 0 {
            return None;
        }
        length |= usize::from(byte[0] & 127) << shift;
        shift += 7;
        if byte[0] < 128 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a message");
    let text = body.iter().skip(3).skip_while(|byte| **byte >= 128).skip(1);
    Some((body[1], String::from_utf8(text.copied().collect()).unwrap()))
}

/// A listener, and a client that has a circuit to it, but speaks for itself.
async fn circuit() -> (Relay, Client, Client) {
    let relay = Relay::start();
    let (listener, _) = Client::listening(&relay).await;
    let mut hostile = Client::start();
    hostile.dial(relay.circuit().with(Protocol::P2p(listener.node.peer)));
    hostile.connected(listener.node.peer).await;
    (relay, listener, hostile)
}

#[wasm_bindgen_test]
async fn garbage_instead_of_an_offer_is_refused() {
    for (garbage, expected) in [
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), "Signaling"),
        (b"\x80\x80\x40".to_vec(), "Signaling"),
        (b"\x03\x12\x01\xff".to_vec(), "Signaling"),
        (b"\x00".to_vec(), "an offer is due"),
        (signal(ANSWER, "v=0"), "an offer is due"),
        (signal(CANDIDATE, "{}"), "an offer is due"),
        (signal(OFFER, ""), "setRemoteDescription"),
        (signal(OFFER, "v=0\r\nwhatever"), "setRemoteDescription"),
    ] {
        let (_relay, mut listener, mut hostile) = circuit().await;
        let mut stream = hostile
            .streams
            .open_stream(listener.node.peer, SIGNALING)
            .await
            .unwrap();
        stream.write_all(&garbage).await.unwrap();
        stream.flush().await.unwrap();
        let error = listener.incoming_error().await;
        assert!(error.contains(expected), "{garbage:x?}: {error}");
        // The circuit is none the worse for it.
        assert_eq!(listener.connections(hostile.node.peer, false).len(), 1);
    }
}

#[wasm_bindgen_test]
async fn garbage_instead_of_an_answer_is_refused() {
    for (garbage, expected) in [
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), "Signaling"),
        (signal(OFFER, "v=0"), "an answer is due"),
        (signal(ANSWER, "v=1"), "setRemoteDescription"),
        (Vec::new(), "an answer is due"),
    ] {
        let relay = Relay::start();
        let mut hostile = Client::start();
        let mut incoming = hostile.streams.accept(SIGNALING).unwrap();
        hostile.listen_on_circuit(&relay).await;
        let mut dialler = Client::start();
        dialler.dial(relay.direct_to(hostile.node.peer));
        let (_, mut stream) = within("an offer", incoming.next()).await.unwrap();
        let (kind, _) = within("an offer", receive(&mut stream)).await.unwrap();
        assert_eq!(kind, OFFER);
        stream.write_all(&garbage).await.unwrap();
        stream.close().await.unwrap();
        let error = dialler.dial_error().await;
        assert!(error.contains(expected), "{garbage:x?}: {error}");
    }
}

#[wasm_bindgen_test]
async fn an_answer_that_does_not_come_is_not_waited_for_long() {
    let relay = Relay::start();
    let mut silent = Client::start();
    let mut incoming = silent.streams.accept(SIGNALING).unwrap();
    silent.listen_on_circuit(&relay).await;
    let mut dialler = Client::with_config(Config::default().with_handshake_timeout(Duration::from_millis(300)));
    dialler.dial(relay.direct_to(silent.node.peer));
    let stream = within("an offer", incoming.next()).await;
    let error = dialler.dial_error().await;
    assert!(error.contains("TimedOut"), "{error}");
    drop(stream);
}

#[wasm_bindgen_test]
async fn an_offer_that_does_not_come_is_not_waited_for_long() {
    let relay = Relay::start();
    let mut listener = Client::with_config(Config::default().with_handshake_timeout(Duration::from_millis(300)));
    listener.listen_on_circuit(&relay).await;
    listener.listen(Protocol::WebRTC.into());
    listener.announced().await;
    let mut silent = Client::start();
    silent.dial(relay.circuit().with(Protocol::P2p(listener.node.peer)));
    silent.connected(listener.node.peer).await;
    let mut stream = silent.streams.open_stream(listener.node.peer, SIGNALING).await.unwrap();
    stream.flush().await.unwrap();
    let error = listener.incoming_error().await;
    assert!(error.contains("TimedOut"), "{error}");
}

#[wasm_bindgen_test]
async fn candidates_without_end_are_refused() {
    let (_relay, mut listener, mut hostile) = circuit().await;
    let mut stream = hostile
        .streams
        .open_stream(listener.node.peer, SIGNALING)
        .await
        .unwrap();
    let peer = RawPeer::new().await;
    // Not told where this peer is, the other side goes on waiting for candidates.
    let offer = peer.offer();
    let offer = offer
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("a=candidate"));
    stream
        .write_all(&signal(OFFER, &offer.collect::<String>()))
        .await
        .unwrap();
    let unusable = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.1 1 typ host","sdpMid":"nowhere"}"#;
    for data in ["null", "\"\"", unusable].into_iter().cycle().take(200) {
        // It may have hung up.
        let _ = stream.write_all(&signal(CANDIDATE, data)).await;
    }
    let _ = stream.flush().await;
    let error = listener.incoming_error().await;
    assert!(error.contains("more candidates"), "{error}");
}

#[wasm_bindgen_test]
async fn a_peer_that_takes_no_direct_connections_says_so() {
    let relay = Relay::start();
    let mut other = Client::start();
    other.listen_on_circuit(&relay).await;
    let mut dialler = Client::start();
    dialler.dial(relay.direct_to(other.node.peer));
    let error = dialler.dial_error().await;
    assert!(error.contains("Refused"), "{error}");
}

#[wasm_bindgen_test]
async fn a_peer_without_a_circuit_is_not_met() {
    let relay = Relay::start();
    let mut dialler = Client::start();
    let nobody = libp2p::PeerId::random();
    for address in [
        relay.direct_to(nobody),
        format!("/webrtc/p2p/{nobody}").parse().unwrap(),
    ] {
        dialler.dial(address);
        let error = dialler.dial_error().await;
        assert!(error.contains("NoCircuit"), "{error}");
    }
}

/// Takes the browser's WebRTC away, while it exists.
struct Without(JsValue);

impl Without {
    fn webrtc() -> Self {
        let name = "RTCPeerConnection".into();
        let real = Reflect::get(&js_sys::global(), &name).unwrap();
        Reflect::delete_property(&js_sys::global(), &name).unwrap();
        Self(real)
    }
}

impl Drop for Without {
    fn drop(&mut self) {
        Reflect::set(&js_sys::global(), &"RTCPeerConnection".into(), &self.0).unwrap();
    }
}

#[wasm_bindgen_test]
async fn where_there_is_no_webrtc_an_error_says_so() {
    let relay = Relay::start();
    let (listener, address) = Client::listening(&relay).await;
    let without = Without::webrtc();
    let mut client = Client::start();
    client.dial(address.clone());
    let error = client.dial_error().await;
    assert!(error.contains("Unsupported"), "{error}");
    let error = client.node.ask(|swarm| swarm.listen_on(Protocol::WebRTC.into())).await;
    assert!(format!("{error:?}").contains("Unsupported"), "{error:?}");

    // It may go after a listener has begun.
    let mut raw = Client::start();
    raw.dial(relay.circuit().with(Protocol::P2p(listener.node.peer)));
    raw.connected(listener.node.peer).await;
    let mut stream = raw.streams.open_stream(listener.node.peer, SIGNALING).await.unwrap();
    stream.flush().await.unwrap();
    let mut listener = listener;
    let error = listener.incoming_error().await;
    assert!(error.contains("Unsupported"), "{error}");
    drop(without);
    client.dial(address);
    client.direct().await;
}

/// The browser's own peer connection, without this crate.
struct RawPeer(JsValue);

impl RawPeer {
    async fn new() -> Self {
        Self::run(
            "return (async () => {
               const peer = new RTCPeerConnection();
               peer.init = peer.createDataChannel('init');
               const gathered = new Promise((resolve) => {
                 peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
               });
               await peer.setLocalDescription();
               await gathered;
               return peer;
             })()",
            &[],
        )
        .await
        .map(Self)
        .unwrap()
    }

    fn offer(&self) -> String {
        let description = Reflect::get(&self.0, &"localDescription".into()).unwrap();
        Reflect::get(&description, &"sdp".into()).unwrap().as_string().unwrap()
    }

    /// Runs JavaScript, in which the arguments are `a` and `b`.
    fn run(script: &str, arguments: &[&JsValue]) -> JsFuture {
        let array = arguments.iter().copied().cloned().collect::<js_sys::Array>();
        let result = Function::new_with_args("a, b", script).apply(&js_sys::global(), &array);
        JsFuture::from(Promise::resolve(&result.expect("a promise")))
    }

    /// Connects to `listener` by hand.
    async fn connect(hostile: &mut Client, listener: &Client) -> Self {
        let peer = Self::new().await;
        let mut stream = hostile
            .streams
            .open_stream(listener.node.peer, SIGNALING)
            .await
            .unwrap();
        stream.write_all(&signal(OFFER, &peer.offer())).await.unwrap();
        let (kind, answer) = receive(&mut stream).await.expect("an answer");
        assert_eq!(kind, ANSWER);
        Self::run(
            "return a.setRemoteDescription({ type: 'answer', sdp: b })",
            &[&peer.0, &answer.into()],
        )
        .await
        .unwrap();
        let mut opened = Self::run(
            "return new Promise((resolve) => a.init.readyState === 'open' ? resolve() : (a.init.onopen = resolve))",
            &[&peer.0],
        );
        loop {
            let message = std::pin::pin!(receive(&mut stream));
            match futures::future::select(opened, message).await {
                futures::future::Either::Left(_) => return peer,
                // Firefox opens the channel once the other side has taken it, which then has hung up already; Chromium before.
                futures::future::Either::Right((None, unopened)) => {
                    unopened.await.unwrap();
                    return peer;
                }
                futures::future::Either::Right((Some((_, candidate)), unopened)) => {
                    Self::run("return a.addIceCandidate(JSON.parse(b))", &[&peer.0, &candidate.into()])
                        .await
                        .unwrap();
                    opened = unopened;
                }
            }
        }
    }

    /// Opens a channel and sends these messages, or numbers of bytes, on it. Resolves to what came back when it closes.
    fn send(&self, messages: &JsValue) -> JsFuture {
        Self::run(
            "return new Promise((resolve) => {
               const channel = a.createDataChannel(''), came = [];
               channel.binaryType = 'arraybuffer';
               channel.onmessage = ({ data }) => came.push([...new Uint8Array(data)].join());
               channel.onclose = () => resolve(came.join(' '));
               channel.onopen = async () => {
                 for (const message of b) {
                   while (channel.bufferedAmount > 1e6) await new Promise((resolve) => setTimeout(resolve, 5));
                   if (channel.readyState === 'open') channel.send(message);
                 }
               };
             })",
            &[&self.0, messages],
        )
    }
}

/// The multistream handshake for the tests' protocol, in one frame.
fn negotiation() -> JsValue {
    let words = b"\x13/multistream/1.0.0\n\x08/echo/1\n";
    let mut frame = vec![words.len() as u8 + 2, 18, words.len() as u8];
    frame.extend(words);
    Uint8Array::from(&frame[..]).into()
}

const RESET: &str = "2,8,2";

#[wasm_bindgen_test]
async fn channels_that_speak_garbage_are_reset_alone() {
    let (_relay, mut listener, mut hostile) = circuit().await;
    let peer = RawPeer::connect(&mut hostile, &listener).await;
    let mut incoming = listener.streams.accept(ECHO).unwrap();
    let mut healthy = None;
    let bytes = |bytes: &[u8]| JsValue::from(Uint8Array::from(bytes));
    for garbage in [
        JsValue::from_str("text"),
        bytes(&[0xff; 10]),
        bytes(&[2, 0x12, 9]),
        Uint8Array::new_with_length(100_000).fill(0x81, 0, 100_000).into(),
    ] {
        let closed = peer.send(&js_sys::Array::of2(&negotiation(), &garbage));
        let (came, stream) = within("the reset", futures::future::join(closed, incoming.next())).await;
        let came = came.unwrap().as_string().unwrap();
        assert!(came.ends_with(RESET), "{garbage:?}: {came}");
        let (_, mut stream) = stream.unwrap();
        let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        healthy = Some(stream);
    }
    drop(healthy);
    assert_eq!(listener.connections(hostile.node.peer, true).len(), 1);
}

#[wasm_bindgen_test]
async fn a_flood_that_is_not_read_is_reset() {
    let (_relay, mut listener, mut hostile) = circuit().await;
    let peer = RawPeer::connect(&mut hostile, &listener).await;
    let mut incoming = listener.streams.accept(ECHO).unwrap();
    let mut frame = vec![0; 16 * 1024];
    frame[..5].copy_from_slice(&[0xfe, 0x7f, 0x12, 0xfb, 0x7f]);
    let frame = Uint8Array::from(&frame[..]);
    let messages = js_sys::Array::of1(&negotiation());
    for _ in 0..1_100 {
        messages.push(&frame);
    }
    let closed = peer.send(&messages);
    let (came, stream) = within("the reset", futures::future::join(closed, incoming.next())).await;
    assert!(came.unwrap().as_string().unwrap().ends_with(RESET));
    let error = stream.unwrap().1.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
}

#[wasm_bindgen_test]
async fn more_channels_than_can_be_taken_are_closed() {
    let (_relay, listener, mut hostile) = circuit().await;
    let peer = RawPeer::connect(&mut hostile, &listener).await;
    // They say nothing, so none of them is negotiated.
    let closed = RawPeer::run(
        "return new Promise((resolve) => {
           for (let count = 0; count < 400; count++) a.createDataChannel('').onclose = resolve;
         })",
        &[&peer.0],
    );
    within("a closed channel", closed).await.unwrap();
    assert_eq!(listener.connections(hostile.node.peer, true).len(), 1);
}

#[wasm_bindgen_test]
async fn channels_of_any_label_are_streams() {
    let (_relay, mut listener, mut hostile) = circuit().await;
    let peer = RawPeer::connect(&mut hostile, &listener).await;
    let mut incoming = listener.streams.accept(ECHO).unwrap();
    let script = "const channel = a.createDataChannel('a later version');
                  channel.onopen = () => { channel.send(b); }; return channel";
    let channel = RawPeer::run(script, &[&peer.0, &negotiation()]).await.unwrap();
    let (from, stream) = within("a stream", incoming.next()).await.unwrap();
    assert_eq!(from, hostile.node.peer);
    drop((stream, channel));
}
