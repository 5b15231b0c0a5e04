//! How members find each other, with libp2p's own client of the rendezvous protocol.

use gossipstore_relay::Limits;
use libp2p::rendezvous::ErrorCode;

use crate::client::{Client, start, until_found};

/// How many members come and go, or ask before the relay must have noticed what has just happened.
const MANY: usize = 50;

#[tokio::test]
async fn members_of_a_namespace_find_each_other_and_nobody_else() {
    let relay = start(Limits::default()).await;
    let [mut first, mut second, mut other] = [(); 3].map(|()| Client::new(&relay));
    for (client, namespace) in [(&mut first, "store"), (&mut second, "store"), (&mut other, "other")] {
        client.connect().await;
        client.register_as_usual(namespace).await;
    }
    assert_eq!(first.find("store").await, [second.peer()]);
    assert_eq!(second.find("store").await, [first.peer()]);
    assert_eq!(
        other.find("store").await,
        [second.peer(), first.peer()],
        "the newest first"
    );
    assert_eq!(first.find("other").await, [other.peer()]);
    assert_eq!(first.find("nowhere").await, []);
    assert!(
        first.discover(None, None, None).await.is_err(),
        "who knows no name is told of nobody"
    );
}

#[tokio::test]
async fn who_has_gone_is_not_found_however_it_went() {
    let relay = start(Limits::default()).await;
    let [mut member, mut unregistered, mut asker] = [(); 3].map(|()| Client::new(&relay));
    asker.connect().await;
    member.connect().await;
    member.register_as_usual("store").await;
    let peer = member.peer();
    for _ in 0..MANY {
        let mut visitor = Client::new(&relay);
        visitor.connect().await;
        visitor.register_as_usual("store").await;
        // As a tab that is closed: without a word.
        drop(visitor);
    }
    until_found(&relay, "store", &[peer]).await;

    unregistered.connect().await;
    unregistered.register_as_usual("store").await;
    assert_eq!(asker.find("store").await, [unregistered.peer(), peer]);
    unregistered.unregister("store");
    // It is sent while the swarm waits for something.
    assert_eq!(unregistered.find("elsewhere").await, []);
    until_found(&relay, "store", &[peer]).await;
    unregistered.register_as_usual("store").await;
    assert_eq!(
        asker.find("store").await,
        [unregistered.peer(), peer],
        "it is still connected"
    );

    drop((member, unregistered));
    until_found(&relay, "store", &[]).await;
}

#[tokio::test]
async fn a_member_is_found_for_as_long_as_one_of_its_connections_lasts() {
    let relay = start(Limits::default()).await;
    let [mut member, mut asker] = [(); 2].map(|()| Client::new(&relay));
    asker.connect().await;
    let connections = [member.connect().await, member.connect().await];
    member.register_as_usual("store").await;
    let (peer, [first, second]) = (member.peer(), connections);
    member.close(first).await;
    for _ in 0..MANY {
        assert_eq!(asker.find("store").await, [peer]);
    }
    member.close(second).await;
    until_found(&relay, "store", &[]).await;

    member.connect().await;
    assert_eq!(asker.find("store").await, [], "it has not registered anew");
    member.register_as_usual("store").await;
    assert_eq!(asker.find("store").await, [peer]);
}

#[tokio::test]
async fn a_cookie_gives_what_is_new() {
    let relay = start(Limits::default()).await;
    let [mut first, mut second, mut asker] = [(); 3].map(|()| Client::new(&relay));
    for client in [&mut first, &mut second, &mut asker] {
        client.connect().await;
    }
    let mut cookie = None;
    let mut told = async |expected: &[&Client]| {
        let expected = expected.iter().map(|client| client.peer()).collect::<Vec<_>>();
        let (peers, next) = asker.discover(Some("store"), cookie.as_ref(), None).await.unwrap();
        assert_eq!(peers, expected);
        cookie = Some(next);
    };
    told(&[]).await;
    first.register_as_usual("store").await;
    told(&[&first]).await;
    told(&[]).await;
    second.register_as_usual("other").await;
    told(&[]).await;
    second.register_as_usual("store").await;
    told(&[&second]).await;
    first.register_as_usual("store").await;
    told(&[&first]).await;
    told(&[]).await;
}

#[tokio::test]
async fn cookies_lead_through_a_namespace_page_by_page() {
    let relay = start(Limits::default()).await;
    let mut members = Vec::new();
    for _ in 0..5 {
        let mut member = Client::new(&relay);
        member.connect().await;
        member.register_as_usual("store").await;
        members.push(member);
    }
    let mut asker = Client::new(&relay);
    asker.connect().await;
    let (mut cookie, mut pages) = (None, Vec::new());
    for _ in 0..4 {
        let (page, next) = asker.discover(Some("store"), cookie.as_ref(), Some(2)).await.unwrap();
        pages.push(page);
        cookie = Some(next);
    }
    let newest_first = members.iter().rev().map(Client::peer).collect::<Vec<_>>();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1, 0]);
    assert_eq!(pages.concat(), newest_first);
}

#[tokio::test]
async fn a_cookie_of_another_namespace_or_relay_is_refused() {
    let mut askers = Vec::new();
    for _ in 0..2 {
        let relay = start(Limits::default()).await;
        let mut asker = Client::new(&relay);
        asker.connect().await;
        askers.push(asker);
    }
    let (_, cookie) = askers[0].discover(Some("store"), None, None).await.unwrap();
    for (nth, namespace) in [(0, Some("other")), (1, Some("store"))] {
        let refused = askers[nth].discover(namespace, Some(&cookie), None).await;
        assert_eq!(refused, Err(ErrorCode::InvalidCookie));
    }
    assert!(askers[0].discover(Some("store"), Some(&cookie), None).await.is_ok());
}
