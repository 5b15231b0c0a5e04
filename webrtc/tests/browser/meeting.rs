//! How two browsers come to be connected.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::{Multiaddr, core::ConnectedPoint, multiaddr::Protocol};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{Client, Pair, Relay, within};

#[wasm_bindgen_test]
async fn a_dial_through_a_relay_ends_in_a_direct_connection() {
    let relay = Relay::start();
    let (mut listener, address) = Client::listening(&relay).await;
    assert_eq!(address, relay.direct_to(listener.node.peer));
    let mut dialler = Client::start();
    dialler.dial(address.clone());

    let (peer, _, endpoint) = dialler.direct().await;
    assert_eq!(peer, listener.node.peer);
    assert_eq!(*endpoint.get_remote_address(), address);
    let (peer, _, endpoint) = listener.direct().await;
    assert_eq!(peer, dialler.node.peer);
    let ConnectedPoint::Listener {
        local_addr,
        send_back_addr,
    } = endpoint
    else {
        panic!("{endpoint:?}");
    };
    assert_eq!(local_addr.to_string(), "/webrtc");
    assert_eq!(send_back_addr.to_string(), format!("/webrtc/p2p/{peer}"));
    // The circuit is the application's.
    assert_eq!(dialler.connections(listener.node.peer, false).len(), 1);
}

#[wasm_bindgen_test]
async fn bytes_go_both_ways() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    let mut buffer = [0; 5];
    within("a greeting", ours.write_all(b"hello")).await.unwrap();
    within("a greeting", theirs.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"hello");
    within("an answer", theirs.write_all(b"world")).await.unwrap();
    within("an answer", ours.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(&buffer, b"world");
}

#[wasm_bindgen_test]
async fn a_standing_circuit_is_enough_to_meet_on() {
    let relay = Relay::start();
    let (mut listener, _) = Client::listening(&relay).await;
    let mut dialler = Client::start();
    dialler.dial(relay.circuit().with(Protocol::P2p(listener.node.peer)));
    dialler.connected(listener.node.peer).await;
    dialler.dial(direct_to(&listener));
    dialler.direct().await;
    listener.direct().await;
    // The one who was dialled may meet on the circuit as well.
    dialler.listen(Protocol::WebRTC.into());
    dialler.settle().await;
    listener.dial(direct_to(&dialler));
    listener.direct().await;
    dialler.direct().await;
    assert_eq!(dialler.connections(listener.node.peer, false).len(), 1);
}

#[wasm_bindgen_test]
async fn members_bring_members_together() {
    let relay = Relay::start();
    let (mut member, _) = Client::listening(&relay).await;
    let (mut one, mut two) = (Client::start(), Client::start());
    for client in [&mut one, &mut two] {
        client.dial(relay.circuit().with(Protocol::P2p(member.node.peer)));
        client.connected(member.node.peer).await;
        // This form of the address is not taken for a circuit by the relay protocol's own code.
        client.dial(direct_to(&member));
        client.direct().await;
        member.direct().await;
    }
    drop(relay);
    for client in [&mut one, &mut two] {
        client.closed(member.node.peer, false).await;
    }

    // Whoever reserves a place at the member is told this address; those who are connected to the member can use it.
    member
        .node
        .tell(|swarm| swarm.add_external_address(Protocol::WebRTC.into()));
    let through = direct_to(&member).with(Protocol::P2pCircuit);
    two.listen(through.clone());
    two.listen(Protocol::WebRTC.into());
    two.announced().await;
    one.dial(through.with(Protocol::WebRTC).with(Protocol::P2p(two.node.peer)));
    let (peer, _, _) = one.direct().await;
    assert_eq!(peer, two.node.peer);
    two.direct().await;
}

#[wasm_bindgen_test]
async fn dials_of_one_peer_share_a_circuit() {
    let relay = Relay::start();
    let (mut listener, address) = Client::listening(&relay).await;
    let mut dialler = Client::start();
    dialler.dial(address.clone());
    dialler.dial(address);
    for client in [&mut dialler, &mut listener] {
        client.direct().await;
        client.direct().await;
    }
    assert_eq!(dialler.connections(listener.node.peer, false).len(), 1);
}

/// The address that names no circuit.
fn direct_to(client: &Client) -> Multiaddr {
    Multiaddr::from(Protocol::WebRTC).with(Protocol::P2p(client.node.peer))
}
