//! Relays that go, come back, are wrong, or refuse.

use std::net::SocketAddr;

use gossipstore_net::{Network, OpenError, Options, RelayState, open};
use gossipstore_relay::{Identity, Limits};

use crate::support::{Cable, Member, RunningRelay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_meet_again_when_their_relay_returns() {
    let mut relay = RunningRelay::start().await;
    let members = [(); 3].map(|()| Member::open("returning", &[&relay]));
    for round in 0..3 {
        for member in &members {
            member.put(&format!("round {round}"), "here").await;
            member.until_in_sync_with(2).await;
        }
        let stopped = relay.stop().await;
        for member in &members {
            member
                .until_status("the loss of the relay", |status| {
                    status.network == Network::Offline
                        && status.peers.is_empty()
                        && status.relays[0].state != RelayState::Connected
                        && status.relays[0].error.is_some()
                })
                .await;
            // Nothing waits for a network.
            member.put(&format!("apart in {round}"), "value").await;
        }
        relay = stopped.start().await;
    }
    for member in &members {
        member.until_in_sync_with(2).await;
        assert_eq!(member.len(), 6);
        assert_eq!(member.handle.status().relays[0].error, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_relay_carries_on_when_the_first_is_gone() {
    let (first, second) = (RunningRelay::start().await, RunningRelay::start().await);
    let members = [(); 2].map(|()| Member::open("two relays", &[&first, &second]));
    for member in &members {
        member.until_in_sync_with(1).await;
        member
            .until_status("both reservations", |status| {
                status.relays.iter().all(|relay| relay.state == RelayState::Connected)
            })
            .await;
    }
    first.stop().await;
    members[0].put("key", "value").await;
    members[1]
        .until("the value", |member| member.get("key").is_some())
        .await;
    for member in &members {
        member.until_in_sync_with(1).await;
        assert_eq!(member.handle.status().network, Network::Relayed);
    }
}

/// A member that cannot use its relay says why, and works all the same.
async fn fails_with(address: String, because: &str) -> Member {
    let member = Member::open_at("failing", [address]);
    member
        .until_status(because, |status| {
            status.relays[0]
                .error
                .as_ref()
                .is_some_and(|error| error.contains(because))
        })
        .await;
    let status = member.handle.status();
    assert_eq!(status.network, Network::Offline);
    assert_ne!(status.relays[0].state, RelayState::Connected);
    member.put("key", "value").await;
    assert_eq!(member.get("key").as_deref(), Some("value"));
    member
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_not_there_is_named_and_taken_up_when_it_comes() {
    let relay = RunningRelay::start().await;
    let address = relay.address.clone();
    let stopped = relay.stop().await;
    let member = fails_with(address, "Connection refused").await;
    let _relay = stopped.start().await;
    member.until_reserved().await;
    assert_eq!(member.handle.status().relays[0].error, None);
    member.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_with_another_identity_is_not_trusted() {
    let relay = RunningRelay::start().await;
    let (place, identity) = relay.address.rsplit_once('/').unwrap();
    let another = Identity::fresh().peer_id();
    fails_with(
        format!("{place}/{another}"),
        &format!("another one answers there, {identity}"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_else_that_listens_is_no_relay() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        loop {
            // Says hello as no WebSocket server does, and hangs up.
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, b"220 mail.example.org ESMTP\r\n")
                .await
                .ok();
        }
    });
    let somebody = Identity::fresh().peer_id();
    fails_with(
        format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/{somebody}"),
        "it cannot be reached",
    )
    .await;
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_falls_silent_is_noticed_and_taken_up_again() {
    // A cable is pulled: the connection stands, but nothing comes any more. Only pings tell.
    let relay = RunningRelay::start().await;
    let cable = Cable::lay(&relay).await;
    let members = [
        Member::open_at("silent", [cable.address.clone()]),
        Member::open("silent", &[&relay]),
    ];
    members[0].until_in_sync_with(1).await;
    cable.pull();
    for member in &members {
        member
            .until_status("being alone", |status| status.peers.is_empty())
            .await;
    }
    members[0]
        .until_status("the silence", |status| status.network == Network::Offline)
        .await;
    members[1].put("meanwhile", "value").await;
    cable.mend();
    members[0]
        .until("the value", |member| member.get("meanwhile").is_some())
        .await;
    members[0].until_in_sync_with(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_relay_refuses_and_says_so() {
    let anywhere: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let limits = Limits {
        reservations: 1,
        ..Limits::default()
    };
    let relay = RunningRelay::start_as(Identity::fresh(), limits, anywhere).await;
    let first = Member::open("first", &[&relay]);
    first.until_reserved().await;
    fails_with(relay.address.clone(), "it gave no reservation").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_addresses_are_refused_before_anything_starts() {
    let refused = open(Options::new("store").relays(["not an address"])).unwrap_err();
    assert!(matches!(refused, OpenError::InvalidRelayAddress { address, .. } if address == "not an address"));
    assert_eq!(open(Options::new("")).unwrap_err(), OpenError::EmptyName);
}
