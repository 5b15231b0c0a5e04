//! What members write while they are apart is kept, all of it, when they meet again.

use crate::support::{Member, RunningRelay, put};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_edit_the_same_key_and_both_show_the_same_siblings() {
    let relay = RunningRelay::start().await;
    let members = [(); 2].map(|()| Member::open("apart", &[&relay]));
    members[0].put("entry", "before").await;
    for member in &members {
        member.until("the entry", |member| member.get("entry").is_some()).await;
        member.until_in_sync_with(1).await;
    }

    let stopped = relay.stop().await;
    for (member, value) in members.iter().zip(["mine", "yours"]) {
        member
            .until_status("being apart", |status| status.peers.is_empty())
            .await;
        member.put("entry", value).await;
        assert_eq!(member.siblings("entry").0, [value]);
    }

    let _relay = stopped.start().await;
    for member in &members {
        member
            .until("both values", |member| member.siblings("entry").0 == ["mine", "yours"])
            .await;
    }
    assert_eq!(members[0].get("entry"), members[1].get("entry"), "the same winner");

    // Choosing in one ends the conflict in both.
    let (_, context) = members[0].siblings("entry");
    members[0]
        .handle
        .transact(vec![put("entry", "ours", Some(context))])
        .await
        .unwrap();
    for member in &members {
        member
            .until("the choice", |member| member.siblings("entry").0 == ["ours"])
            .await;
        member.until_in_sync_with(1).await;
    }
}
