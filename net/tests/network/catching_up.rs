//! Members that were away catch up in one session, and sessions that are cut leave nothing behind.

use futures::{Stream, StreamExt as _};
use gossipstore_net::NodeEvent;

use crate::support::{Member, PATIENCE, RunningRelay, next_changes, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_gets_everything_in_one_step() {
    let relay = RunningRelay::start().await;
    let old = Member::open("newcomer", &[&relay]);
    old.put_many(0..1_000, "value").await;

    let (new, mut events) = Member::listening("newcomer", &relay);
    assert_eq!(next_changes(&mut events).await.len(), 1_000);
    assert_eq!(new.len(), 1_000);
    new.until_in_sync_with(1).await;
    old.until_in_sync_with(1).await;
}

/// One thread, as in a tab: whatever takes long there keeps all else waiting.
#[tokio::test]
async fn a_large_store_is_taken_in_while_callers_are_answered() {
    const KEYS: usize = 50_000;
    let relay = RunningRelay::start().await;
    let old = Member::open("large", &[&relay]);
    for first in (0..KEYS).step_by(1_000) {
        let writes = (first..first + 1_000).map(|key| put(&format!("key {key:05}"), &format!("value {key}"), None));
        old.handle.transact(writes.collect()).await.unwrap();
    }

    let (new, events) = Member::listening("large", &relay);
    let mut answered = 0;
    let whole = tokio::time::timeout(PATIENCE, async {
        until_progress(events).await;
        while new.len() < KEYS {
            new.put(&format!("meanwhile {answered}"), "value").await;
            answered += 1;
            // No event tells of each step of taking in: others' turns, one after the other, do.
            tokio::task::yield_now().await;
        }
    });
    whole.await.expect("the large store comes");
    assert!(answered > 1, "{answered} answered while it came");
    old.until("what was written meanwhile", |member| member.len() == new.len())
        .await;
    new.until_in_sync_with(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_gets_what_it_missed_in_one_step() {
    let relay = RunningRelay::start().await;
    let home = Member::open("away", &[&relay]);
    let away = Member::open("away", &[&relay]);
    home.put_many(0..200, "old").await;
    home.until_in_sync_with(1).await;
    away.until("the first values", |member| member.len() == 200).await;

    let stopped = relay.stop().await;
    for member in [&home, &away] {
        member
            .until_status("being apart", |status| status.peers.is_empty())
            .await;
    }
    home.put_many(150..300, "new").await;
    home.delete("key 00000").await;

    let mut events = away.handle.events();
    let relay = stopped.start().await;
    assert_eq!(next_changes(&mut events).await.len(), 151, "150 values and a removal");
    assert_eq!((away.len(), away.get("key 00000")), (299, None));
    away.until_in_sync_with(1).await;
    relay.stop().await;
}

/// Enough to take many turns: values that differ, 8 MiB in all.
async fn fill(member: &Member) {
    for key in 0..256 {
        member
            .put(&format!("key {key}"), &format!("{key} ").repeat(8 * 1024))
            .await;
    }
}

async fn until_progress(mut events: impl Stream<Item = NodeEvent> + Unpin) {
    while !matches!(events.next().await.expect("the node runs"), NodeEvent::Progress { .. }) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_killed_in_a_session_leaves_nothing_half_done() {
    let relay = RunningRelay::start().await;
    let sender = Member::open("sender killed", &[&relay]);
    let keeper = Member::open("sender killed", &[&relay]);
    fill(&sender).await;
    keeper.until_in_sync_with(1).await;
    keeper.close().await;
    sender
        .until_status("being alone", |status| status.peers.is_empty())
        .await;

    let (receiver, events) = Member::listening("sender killed", &relay);
    until_progress(events).await;
    sender.kill().await;
    receiver
        .until_status("being alone", |status| status.peers.is_empty())
        .await;
    assert!(
        matches!(receiver.len(), 0 | 256),
        "all or nothing, not {}",
        receiver.len()
    );
    receiver.put("still", "alive").await;

    // Another one who has it all makes up for it.
    let other = Member::open("sender killed", &[&relay]);
    fill(&other).await;
    receiver.until("everything", |member| member.len() == 257).await;
    receiver.until_in_sync_with(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_killed_in_a_session_does_not_trouble_the_sender() {
    let relay = RunningRelay::start().await;
    let sender = Member::open("receiver killed", &[&relay]);
    fill(&sender).await;
    let (receiver, events) = Member::listening("receiver killed", &relay);
    until_progress(events).await;
    receiver.kill().await;
    sender
        .until_status("being alone", |status| status.peers.is_empty())
        .await;

    let next = Member::open("receiver killed", &[&relay]);
    next.until("everything", |member| member.len() == 256).await;
    next.until_in_sync_with(1).await;
}
