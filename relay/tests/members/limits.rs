//! What a relay refuses, as a member that asks for too much meets it.

use gossipstore_relay::Limits;
use libp2p::{rendezvous::ErrorCode, swarm::SwarmEvent};

use crate::client::{Client, PATIENCE, USUAL_SECONDS, start};

#[tokio::test]
async fn nobody_registers_for_longer_than_is_kept() {
    let relay = start(Limits::default()).await;
    let mut client = Client::new(&relay);
    client.connect().await;
    assert_eq!(client.register(60 * 60).await, Some(Err(ErrorCode::InvalidTtl)));
    assert_eq!(client.register(USUAL_SECONDS).await, Some(Ok(USUAL_SECONDS)));
}

#[tokio::test]
async fn who_registers_without_end_is_hung_up_on_and_stays_out() {
    let relay = start(Limits::default()).await;
    let mut client = Client::new(&relay);
    client.connect().await;
    let mut registered = 0;
    while client.register(USUAL_SECONDS).await.is_some() {
        registered += 1;
        assert!(registered < 1_000, "without end");
    }
    assert!(registered >= 16, "as often as a member has to");

    client.connect().await;
    client
        .until("being hung up on again", |event| {
            matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())
        })
        .await;

    let mut other = Client::new(&relay);
    other.connect().await;
    assert_eq!(other.register(USUAL_SECONDS).await, Some(Ok(USUAL_SECONDS)));
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
