//! How direct connections end, and what remains.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use js_sys::{Function, Reflect};
use libp2p::{Multiaddr, multiaddr::Protocol, swarm::SwarmEvent};
use libp2p_webrtc_browser::Config;
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_time::Instant;

use crate::support::{Client, Pair, Relay, SIGNALING, within};

#[wasm_bindgen_test]
async fn the_other_side_hears_of_a_close_at_once() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    let connection = pair.listener.connections(pair.dialler.node.peer, true)[0];
    let start = Instant::now();
    pair.listener
        .node
        .tell(move |swarm| assert!(swarm.close_connection(connection)));
    assert_eq!(pair.listener.closed(pair.dialler.node.peer, true).await, None);
    let cause = pair.dialler.closed(pair.listener.node.peer, true).await;
    console_log!("a close was heard of after {:?}: {cause:?}", start.elapsed());
    assert!(within("an error", ours.read(&mut [0; 1])).await.is_err());
    assert!(within("an error", theirs.read(&mut [0; 1])).await.is_err());
    assert!(ours.write_all(b"anyone?").await.is_err());
}

#[wasm_bindgen_test]
async fn a_peer_that_vanishes_is_missed_at_once() {
    let mut pair = Pair::connect().await;
    let (mut ours, theirs) = pair.stream().await;
    let peer = pair.listener.node.peer;
    drop(pair.listener);
    let start = Instant::now();
    pair.dialler.closed(peer, true).await;
    console_log!("a vanished peer was missed after {:?}", start.elapsed());
    assert!(within("an error", ours.read(&mut [0; 1])).await.is_err());
    drop(theirs);
}

#[wasm_bindgen_test]
async fn what_was_finished_before_a_close_has_arrived() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    ours.write_all(b"all of it").await.unwrap();
    within("the end is acknowledged", ours.close()).await.unwrap();
    let peer = pair.dialler.node.peer;
    drop(pair.dialler);
    pair.listener.closed(peer, true).await;
    let mut received = Vec::new();
    theirs.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"all of it");
}

/// Counts the peer connections of the page that are not closed, while it exists.
struct Census {
    real: JsValue,
    live: Function,
}

impl Census {
    fn begin() -> Self {
        let real = Reflect::get(&js_sys::global(), &"RTCPeerConnection".into()).unwrap();
        let live = Function::new_no_args(
            "const Real = globalThis.RTCPeerConnection, all = [];
             globalThis.RTCPeerConnection = class extends Real { constructor(...given) { super(...given); all.push(this); } };
             return () => all.filter((connection) => connection.connectionState !== 'closed').length;",
        );
        let live = live.call0(&js_sys::global()).unwrap().unchecked_into();
        Self { real, live }
    }

    fn live(&self) -> f64 {
        self.live.call0(&JsValue::UNDEFINED).unwrap().as_f64().unwrap()
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        Reflect::set(&js_sys::global(), &"RTCPeerConnection".into(), &self.real).unwrap();
    }
}

#[wasm_bindgen_test]
async fn no_peer_connection_is_left_behind() {
    let census = Census::begin();
    let mut pair = Pair::connect().await;
    let streams = pair.stream().await;
    assert_eq!(census.live(), 2.0);
    let (dialler, listener) = (pair.dialler.node.peer, pair.listener.node.peer);
    let connection = pair.dialler.connections(listener, true)[0];
    pair.dialler
        .node
        .tell(move |swarm| assert!(swarm.close_connection(connection)));
    pair.dialler.closed(listener, true).await;
    pair.listener.closed(dialler, true).await;
    assert_eq!(census.live(), 0.0);
    drop(streams);

    // Nor by a dial that is given up while the browsers meet.
    let mut silent = Client::start();
    let mut offers = silent.streams.accept(SIGNALING).unwrap();
    silent.listen_on_circuit(&pair.relay).await;
    let mut dialler = Client::with_config(Config::default().with_handshake_timeout(Duration::from_millis(300)));
    dialler.dial(pair.relay.direct_to(silent.node.peer));
    let (_, mut offer) = within("an offer", offers.next()).await.unwrap();
    within("an offer", offer.read_exact(&mut [0; 1])).await.unwrap();
    assert_eq!(census.live(), 1.0);
    dialler.dial_error().await;
    assert_eq!(census.live(), 0.0);
    drop(offer);
}

#[wasm_bindgen_test]
async fn two_who_dial_each_other_at_once_are_connected_twice() {
    let relay = Relay::start();
    let (mut one, address_of_one) = Client::listening(&relay).await;
    let (mut two, address_of_two) = Client::listening(&relay).await;
    one.dial(address_of_two);
    two.dial(address_of_one);
    for client in [&mut one, &mut two] {
        client.direct().await;
        client.direct().await;
    }
    assert_eq!(one.connections(two.node.peer, true).len(), 2);
    assert_eq!(two.connections(one.node.peer, true).len(), 2);
}

#[wasm_bindgen_test]
async fn addresses_come_and_go_with_the_circuits() {
    let (first, second) = (Relay::start(), Relay::start());
    let (mut client, address) = Client::listening(&first).await;
    assert!(client.external_addresses().await.contains(&address));
    client.listen(second.circuit());
    assert_eq!(client.announced().await, second.direct_to(client.node.peer));
    drop(first);
    let expired = client
        .node
        .event("the end of an address", |event| match event {
            SwarmEvent::ExpiredListenAddr { address, .. } => Some(address),
            _ => None,
        })
        .await;
    assert_eq!(expired, address);
    assert_eq!(
        webrtc(client.external_addresses().await),
        [second.direct_to(client.node.peer)]
    );
}

#[wasm_bindgen_test]
async fn who_listens_late_announces_the_circuits_that_stand() {
    let relay = Relay::start();
    let mut client = Client::start();
    client.listen(relay.circuit());
    client
        .node
        .event("a circuit", |event| {
            matches!(event, SwarmEvent::NewListenAddr { .. }).then_some(())
        })
        .await;
    assert!(webrtc(client.external_addresses().await).is_empty());

    let listener = client
        .node
        .ask(|swarm| swarm.listen_on(Protocol::WebRTC.into()).unwrap())
        .await;
    let address = client.announced().await;
    assert_eq!(address, relay.direct_to(client.node.peer));
    let again = client.node.ask(|swarm| swarm.listen_on(Protocol::WebRTC.into())).await;
    assert!(format!("{again:?}").contains("AlreadyListening"), "{again:?}");

    assert!(client.node.ask(move |swarm| swarm.remove_listener(listener)).await);
    let withdrawn = client
        .node
        .event("the listener's end", |event| match event {
            SwarmEvent::ListenerClosed { addresses, .. } => Some(addresses),
            _ => None,
        })
        .await;
    assert_eq!(withdrawn, [address]);
    assert!(webrtc(client.external_addresses().await).is_empty());
    client.listen(Protocol::WebRTC.into());
    client.announced().await;
}

fn webrtc(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let webrtc = |address: &Multiaddr| address.iter().any(|part| part == Protocol::WebRTC);
    addresses.into_iter().filter(webrtc).collect()
}
