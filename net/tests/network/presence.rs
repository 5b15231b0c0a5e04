//! Who is present is known to all who are linked, over real sockets.

use std::collections::BTreeMap;

use gossipstore_core::{id::PresenceId, replica::Value, wire::PRESENCE_BYTES_MAX};
use gossipstore_net::StoreError;

use crate::support::{Member, RunningRelay};

pub(crate) fn says(member: &Member, id: u64, value: &str) {
    let value = Some(Value::from(value.as_bytes()));
    member.handle.present(PresenceId(id), value).unwrap();
}

pub(crate) fn present(member: &Member) -> BTreeMap<u64, String> {
    let news = member.handle.presences(0);
    let read = |(id, value): (PresenceId, Value)| (id.0, String::from_utf8(value.to_vec()).unwrap());
    news.changed.into_iter().map(read).collect()
}

/// Waits until exactly these are present.
async fn until_present(member: &Member, expected: &[(u64, &str)]) {
    let expected: BTreeMap<u64, String> = expected.iter().map(|(id, value)| (*id, (*value).into())).collect();
    member
        .until(&format!("{expected:?} to be present"), |member| {
            present(member) == expected
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_know_who_is_present_from_the_moment_they_come_until_they_go() {
    let relay = RunningRelay::start().await;
    let ann = Member::open("presence", &[&relay]);
    says(&ann, 1, "Ann");
    let ben = Member::open("presence", &[&relay]);
    until_present(&ben, &[(1, "Ann")]).await;
    says(&ben, 2, "Ben");
    until_present(&ann, &[(1, "Ann"), (2, "Ben")]).await;
    // Each change is told, the last whatever comes before.
    for n in 0..100 {
        says(&ann, 1, &n.to_string());
    }
    until_present(&ben, &[(1, "99"), (2, "Ben")]).await;
    ben.handle.present(PresenceId(2), None).unwrap();
    until_present(&ann, &[(1, "99")]).await;
    assert_eq!((ann.len(), ben.len()), (0, 0), "nothing is stored");

    // One that is gone without a word is over within seconds.
    ann.kill().await;
    until_present(&ben, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_said_is_refused() {
    let relay = RunningRelay::start().await;
    let ann = Member::open("unsayable", &[&relay]);
    let long = Some(Value::from(vec![0; PRESENCE_BYTES_MAX + 1]));
    let refused = ann.handle.present(PresenceId(1), long).unwrap_err();
    assert!(matches!(refused, StoreError::PresenceTooLarge { bytes: 4_097 }));
    assert!(refused.to_string().contains("4096"), "{refused}");
    let handle = ann.handle.clone();
    ann.close().await;
    assert_eq!(handle.present(PresenceId(1), None), Err(StoreError::Closed));
}
