//! How two browsers come to be connected.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::core::ConnectedPoint;
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
