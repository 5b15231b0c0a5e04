//! The storage in the browser keeps the contract of all storages, tells what the browser does to it, and takes nothing else's place.
//!
//! Run: `wasm-pack test --headless --chrome wasm`.

#![cfg(target_arch = "wasm32")]

use std::sync::Arc;

use futures::future::join;
use gossipstore_core::disk::Transaction;
use gossipstore_net::storage::{Storage, StorageError, contract};
use gossipstore_wasm::{engine::Engine, indexed_db::IndexedDb};
use js_sys::{Array, Function, JSON, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::*;
use web_sys::AbortController;

wasm_bindgen_test_configure!(run_in_browser);

async fn open(store: &str) -> IndexedDb {
    IndexedDb::open(store).await.expect("it opens")
}

fn one(key: &[u8], record: &[u8]) -> Arc<Transaction> {
    Arc::new(Transaction {
        changes: [(key.to_vec(), Some(record.to_vec()))].into(),
        guard: None,
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
async fn of_two_that_write_under_one_guard_one_does() {
    let (mut first, mut second) = (open("guarded").await, open("guarded").await);
    let guarded = |by: &[u8]| {
        let changes = [(b"1".to_vec(), Some(by.to_vec())), (by.to_vec(), Some(Vec::new()))].into();
        let guard = Some(b"1".to_vec());
        Arc::new(Transaction { changes, guard })
    };
    let (left, right) = join(first.write(guarded(b"first")), second.write(guarded(b"second"))).await;
    assert_eq!((left, right), (Ok(()), Err(StorageError::Superseded)));
    let records = second.read(None).await.expect("it is read");
    assert_eq!(
        records,
        [(b"1".to_vec(), b"first".to_vec()), (b"first".to_vec(), Vec::new())]
    );
}

#[wasm_bindgen_test]
async fn a_long_transaction_that_is_let_go_of_is_not_carried_out_in_part() {
    let mut store = open("let go").await;
    let long = (0..8_u8).map(|n| (vec![n], Some(vec![n; 1_000_000])));
    let changes = long.collect();
    drop(store.write(Arc::new(Transaction { changes, guard: None })));
    store.write(one(b"key", b"record")).await.expect("it is written");
    let records = store.read(None).await.expect("it is read");
    assert_eq!(records, [(b"key".to_vec(), b"record".to_vec())]);
}

/// Keeps the database of a store from all others until the function that is given is called. Gives what resolves when another asks for it, too.
async fn hold(store: &str) -> (Function, Promise) {
    let body = "return new Promise((resolve) => {
        const opening = indexedDB.open(`gossipstore/${store}`, 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore('records');
        opening.onsuccess = () => {
            let held = true;
            const records = opening.result.transaction('records', 'readwrite').objectStore('records');
            const goOn = () => { if (held) records.get('').onsuccess = goOn; };
            goOn();
            const { transaction } = IDBDatabase.prototype;
            const asked = new Promise((resolve) => {
                IDBDatabase.prototype.transaction = function (...args) {
                    if (this.name === opening.result.name) resolve();
                    return transaction.apply(this, args);
                };
            });
            const release = () => {
                held = false;
                opening.result.close();
                IDBDatabase.prototype.transaction = transaction;
            };
            resolve([release, asked]);
        };
    });";
    let holding = Function::new_with_args("store", body).call1(&JsValue::NULL, &store.into());
    let holding: Promise = holding.expect("it begins").unchecked_into();
    let held: Array = JsFuture::from(holding).await.expect("it holds").unchecked_into();
    (held.get(0).unchecked_into(), held.get(1).unchecked_into())
}

#[wasm_bindgen_test]
async fn an_opening_that_is_given_up_writes_nothing_when_its_turn_comes() {
    let (release, asked) = hold("given up").await;
    let open = |superseding: &AbortController| {
        let options = JSON::parse(r#"{ "name": "given up", "relays": [] }"#).expect("JSON");
        Engine::open_stored(options, true, superseding.signal(), Function::new_no_args(""))
    };
    let code = |opened: Result<Engine, _>| {
        let failure = opened.map(drop).expect_err("it is given up");
        Reflect::get(&JsValue::from(failure), &"code".into()).expect("an Error")
    };
    let superseding = AbortController::new().expect("this is a browser");
    let abort = async {
        JsFuture::from(asked).await.expect("it comes to wait for the disk");
        superseding.abort();
    };
    assert_eq!(code(join(open(&superseding), abort).await.0), "Superseded");
    assert_eq!(code(open(&superseding).await), "Superseded", "before it begins");
    release.call0(&JsValue::NULL).expect("it is let go");
    assert_eq!(self::open("given up").await.read(None).await, Ok(Vec::new()));
}
