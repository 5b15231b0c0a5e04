//! Members that find each other through a relay come to hold the same.

use gossipstore_net::{Network, Options, Path, RelayState, StoreError, open};

use crate::support::{Member, RunningRelay, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_and_a_relay_converge() {
    let relay = RunningRelay::start().await;
    let members = [(); 3].map(|()| Member::open("three", &[&relay]));
    for (at, member) in members.iter().enumerate() {
        member.put(&format!("from {at}"), &format!("value {at}")).await;
    }
    for member in &members {
        member.until("all three values", |member| member.len() == 3).await;
        member.until_in_sync_with(2).await;
        assert_eq!(member.get("from 1").as_deref(), Some("value 1"));
        assert_eq!(member.digest(), members[0].digest());
    }

    // What is written now is gossiped, and what is deleted stays deleted.
    members[0].put("late", "news").await;
    members[1].delete("from 2").await;
    for member in &members {
        member
            .until("the news", |member| {
                member.get("late").is_some() && member.get("from 2").is_none()
            })
            .await;
        member.until_in_sync_with(2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_the_truth_about_a_relayed_link() {
    let relay = RunningRelay::start().await;
    let (_node, not_running) = open(Options::new("status").relays([&relay.address])).unwrap();
    assert_eq!(not_running.status().network, Network::Connecting);
    let one = Member::open("status", &[&relay]);
    one.until_reserved().await;
    assert_eq!(one.handle.status().network, Network::Relayed);

    let other = Member::open("status", &[&relay]);
    one.put("key", "value").await;
    other.until("the value", |member| member.get("key").is_some()).await;
    one.until_in_sync_with(1).await;
    one.until_status("a round trip", |status| status.peers[0].rtt_ms.is_some())
        .await;
    let status = one.handle.status();
    assert_eq!(status.network, Network::Relayed);
    assert_eq!(status.peers[0].path, Path::Relayed);
    assert!(status.peers[0].bytes_in > 0 && status.peers[0].bytes_out > 0);
    assert_eq!(status.storage.used_bytes, "keyvalue".len() as u64);
    assert_eq!(
        (status.relays[0].state, &status.relays[0].error),
        (RelayState::Connected, &None)
    );
    assert_eq!(status.relays[0].address, relay.address);
    assert_eq!(status.pending, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_different_stores_do_not_meet() {
    let relay = RunningRelay::start().await;
    let mine = [(); 2].map(|()| Member::open("mine", &[&relay]));
    let theirs = Member::open("theirs", &[&relay]);
    theirs.until_reserved().await;
    for member in [&mine[0], &mine[1], &theirs] {
        member.put("key", "value").await;
    }
    mine[0].until_in_sync_with(1).await;
    mine[1].until_in_sync_with(1).await;
    assert!(theirs.handle.status().peers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_come_at_once_all_meet() {
    // All register and discover in the same moment, so that pairs dial each other: each must end with one link.
    let relay = RunningRelay::start().await;
    let members = (0..6).map(|_| Member::open("many", &[&relay])).collect::<Vec<_>>();
    for (at, member) in members.iter().enumerate() {
        member.put(&format!("from {at}"), "here").await;
    }
    for member in &members {
        member.until("all values", |member| member.len() == members.len()).await;
        member.until_in_sync_with(members.len() - 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_member_is_gone_at_once_and_refuses_writes() {
    let relay = RunningRelay::start().await;
    let one = Member::open("closing", &[&relay]);
    let other = Member::open("closing", &[&relay]);
    one.until_in_sync_with(1).await;
    other.until_in_sync_with(1).await;

    // Written right before closing, it still gets out.
    let handle = other.handle.clone();
    other.put("last", "words").await;
    other.close().await;
    one.until_status("being alone", |status| status.peers.is_empty()).await;
    assert_eq!(one.get("last").as_deref(), Some("words"));

    assert_eq!(
        handle.transact(vec![put("late", "never", None)]).await,
        Err(StoreError::Closed)
    );
    assert_eq!(handle.clear().await, Err(StoreError::Closed));
    assert!(handle.read(|replica| replica.get("late").is_none()));
    handle.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_relays_works_by_itself() {
    let alone = Member::open("alone", &[]);
    alone.put("key", "value").await;
    assert_eq!(alone.get("key").as_deref(), Some("value"));
    let status = alone.handle.status();
    assert_eq!(
        (status.network, status.relays.len(), status.pending),
        (Network::Offline, 0, 0)
    );
    alone.handle.clear().await.unwrap();
    assert_eq!(alone.len(), 0);
    assert_eq!(alone.handle.status().storage.used_bytes, 0);
    alone.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_commands_end_though_there_is_nobody_to_tell() {
    let alone = Member::open("alone", &[]);
    let writes = (0..3_000)
        .map(|at| put(&format!("key {at:05}"), "value", None))
        .collect();
    alone.handle.transact(writes).await.unwrap();
    assert_eq!(alone.len(), 3_000);
    alone.handle.clear().await.unwrap();
    assert_eq!(alone.len(), 0);
    alone.close().await;
}
