//! The storage in the browser keeps the contract of all storages, tells what the browser does to it, and takes nothing else's place.
//!
//! Run: `wasm-pack test --headless --chrome wasm`.

#![cfg(target_arch = "wasm32")]

use std::sync::Arc;

use futures::future::join;
use gossipstore_core::disk::Transaction;
use gossipstore_net::storage::{Storage, StorageError, contract};
use gossipstore_wasm::indexed_db::IndexedDb;
use wasm_bindgen_test::*;

wasm_bindgen_test_configure!(run_in_browser);

async fn open(store: &str) -> IndexedDb {
    IndexedDb::open(store, false).await.expect("it opens")
}

fn one(key: &[u8], record: &[u8]) -> Arc<Transaction> {
    Arc::new(Transaction {
        changes: [(key.to_vec(), Some(record.to_vec()))].into(),
    })
}

#[wasm_bindgen_test]
async fn it_keeps_the_contract() {
    contract::check(async || open("contract").await).await;
    IndexedDb::delete("contract").await.expect("it is deleted");
}

#[wasm_bindgen_test]
async fn stores_do_not_meet() {
    let (mut one_store, mut other) = (open("one").await, open("other").await);
    one_store.write(one(b"key", b"record")).await.expect("it is written");
    assert_eq!(other.read(None).await, Ok(Vec::new()));
    assert_eq!(one_store.read(None).await.expect("it is read").len(), 1);
}

#[wasm_bindgen_test]
async fn what_is_deleted_under_an_open_store_is_told_and_not_made_anew() {
    let mut store = open("wiped").await;
    store.write(one(b"key", b"record")).await.expect("it is written");
    IndexedDb::delete("wiped")
        .await
        .expect("it does not wait for the one that has it open");
    let written = store.write(one(b"key", b"again")).await;
    assert!(matches!(written, Err(StorageError::Gone { .. })), "{written:?}");
    assert!(matches!(store.read(None).await, Err(StorageError::Gone { .. })));
    let mut again = open("wiped").await;
    assert_eq!(again.read(None).await, Ok(Vec::new()));
}

#[wasm_bindgen_test]
async fn who_is_taken_over_from_cannot_write_any_more() {
    let mut first = open("terms").await;
    first.write(one(b"a", b"first")).await.expect("it is written");
    let under_way = first.write(one(b"b", b"first"));
    let mut second = IndexedDb::open("terms", true).await.expect("it opens");
    under_way.await.expect("it was asked for before");
    let late = first.write(one(b"a", b"late")).await;
    assert_eq!(late, Err(StorageError::Superseded));
    second.write(one(b"c", b"second")).await.expect("it is written");
    // Who opens it when the one before has ended goes on.
    let mut third = open("terms").await;
    third.write(one(b"c", b"third")).await.expect("it is written");
    second.write(one(b"d", b"second")).await.expect("it shares the term");

    let (left, right) = join(IndexedDb::open("terms", true), IndexedDb::open("terms", true)).await;
    let mut written = Vec::new();
    for mut storage in [left.expect("it opens"), right.expect("it opens"), second, third, first] {
        written.push(storage.write(one(b"e", b"last")).await.is_ok());
    }
    assert_eq!(written.iter().filter(|written| **written).count(), 1, "{written:?}");
    let records = open("terms").await.read(None).await.expect("it is read");
    assert_eq!(records.first(), Some(&(b"a".to_vec(), b"first".to_vec())));
    assert_eq!(records.len(), 5);
}
