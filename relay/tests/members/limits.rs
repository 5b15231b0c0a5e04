//! What a relay refuses, as a member that asks for too much meets it.

use gossipstore_relay::Limits;
use libp2p::rendezvous::ErrorCode;

use crate::client::{Client, PATIENCE, USUAL_SECONDS, start, until_found};

#[tokio::test]
async fn nobody_registers_for_longer_than_is_kept() {
    let relay = start(Limits::default()).await;
    let mut client = Client::new(&relay);
    client.connect().await;
    let longest = client.register("store", None).await.unwrap();
    assert_eq!(
        client.register("store", Some(longest + 1)).await,
        Err(ErrorCode::InvalidTtl)
    );
    client.register_as_usual("store").await;
}

#[tokio::test]
async fn who_registers_without_end_is_refused_and_registered_once() {
    let relay = start(Limits::default()).await;
    let [mut eager, mut other] = [(); 2].map(|()| Client::new(&relay));
    eager.connect().await;
    let mut registered = 0;
    let refusal = loop {
        match eager.register("store", Some(USUAL_SECONDS)).await {
            Ok(_) => registered += 1,
            Err(error) => break error,
        }
        assert!(registered < 1_000, "without end");
    };
    assert_eq!(refusal, ErrorCode::Unavailable);
    assert!(registered >= 32, "as often as a member has to");
    assert_eq!(
        eager.discover(Some("store"), None, None).await,
        Err(ErrorCode::Unavailable)
    );

    other.connect().await;
    other.register_as_usual("store").await;
    assert_eq!(other.find("store").await, [eager.peer()], "its last one is kept");
}

#[tokio::test]
async fn there_is_room_for_so_many_registrations_and_for_what_replaces_them() {
    let relay = start(Limits {
        reservations: 1,
        ..Limits::default()
    })
    .await;
    let [mut member, mut another] = [(); 2].map(|()| Client::new(&relay));
    member.connect().await;
    another.connect().await;
    let mut registered = Vec::new();
    let refusal = loop {
        let namespace = registered.len().to_string();
        match member.register(&namespace, Some(USUAL_SECONDS)).await {
            Ok(_) => registered.push(namespace),
            Err(error) => break error,
        }
        assert!(registered.len() < 16, "a member may have so many, but not here");
    };
    assert_eq!(refusal, ErrorCode::Unavailable);
    for namespace in &registered {
        member.register_as_usual(namespace).await;
    }
    let refused = another.register("store", Some(USUAL_SECONDS)).await;
    assert_eq!(refused, Err(ErrorCode::Unavailable), "for anybody");
    assert_eq!(another.find(&registered[0]).await, [member.peer()]);

    drop(member);
    until_found(&relay, &registered[0], &[]).await;
    another.register_as_usual("store").await;
}

#[tokio::test]
async fn a_full_relay_renews_for_those_it_has_and_takes_another_when_one_goes() {
    let relay = start(Limits {
        reservations: 1,
        ..Limits::default()
    })
    .await;
    let mut member = Client::new(&relay);
    assert_eq!(member.reserve().await, Some(false));
    assert!(member.reserve().await.is_some(), "a renewal");

    let mut another = Client::new(&relay);
    assert_eq!(another.reserve().await, None, "full");
    drop(member);
    // The relay notices the end of the first's connection when it gets to it.
    tokio::time::timeout(PATIENCE, async { while another.reserve().await.is_none() {} })
        .await
        .expect("a place is free again");
}
