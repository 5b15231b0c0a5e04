//! The bindings in a real browser: what JavaScript hands in, what it gets back, and what it is told when that cannot be.
//!
//! Method: each test opens a store that stays on this device (no relays) and calls it exactly as `ts/local-host.ts` does, with
//! arrays, plain objects and `Uint8Array`s. Run: `wasm-pack test --headless --chrome wasm`.

#![cfg(target_arch = "wasm32")]

use std::{cell::RefCell, rc::Rc};

use gossipstore_wasm::engine::{Engine, limits};
use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::*;

wasm_bindgen_test_configure!(run_in_browser);

/// A store with its events, in the order they came.
struct Store {
    engine: Engine,
    events: Rc<RefCell<Vec<JsValue>>>,
}

fn object(properties: &[(&str, JsValue)]) -> JsValue {
    let object = js_sys::Object::new();
    for (name, value) in properties {
        Reflect::set(&object, &JsValue::from_str(name), value).expect("a fresh object");
    }
    object.into()
}

fn options(name: &str, relays: &[&str]) -> JsValue {
    object(&[("name", name.into()), ("relays", strings(relays).into())])
}

fn open(name: &str) -> Store {
    let events: Rc<RefCell<Vec<JsValue>>> = Rc::default();
    let heard = events.clone();
    let listener = Closure::<dyn FnMut(JsValue)>::new(move |event| heard.borrow_mut().push(event));
    let engine = Engine::open(options(name, &[]), listener.into_js_value().unchecked_into())
        .unwrap_or_else(|failure| panic!("{failure:?}"));
    Store { engine, events }
}

fn strings(items: &[&str]) -> Array {
    items.iter().map(|item| JsValue::from_str(item)).collect()
}

fn values(items: &[Option<&[u8]>]) -> Array {
    items
        .iter()
        .map(|item| item.map_or(JsValue::NULL, |bytes| Uint8Array::from(bytes).into()))
        .collect()
}

/// The same object as JSON, with bytes as `[1,2]`: what the tests compare.
fn json(value: &JsValue) -> String {
    let replacer = Function::new_with_args("_, v", "return v instanceof Uint8Array ? [...v] : v");
    let text = js_sys::JSON::stringify_with_replacer(value, &replacer).expect("plain data");
    text.as_string().unwrap_or_default()
}

fn get(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).expect("an object")
}

fn code(error: impl Into<JsValue>) -> String {
    let error = error.into();
    let error: &js_sys::Error = error.dyn_ref().expect("an Error");
    assert!(error.message().length() > 10, "the message says something");
    get(error, "code").as_string().expect("a code")
}

async fn settled(promise: Promise) -> Result<JsValue, JsValue> {
    JsFuture::from(promise).await
}

impl Store {
    async fn write(&self, keys: &[&str], items: &[Option<&[u8]>]) {
        let promise = self
            .engine
            .transact(&strings(keys), &values(items), None, None, None)
            .expect("columns of one length");
        settled(promise).await.expect("stored");
    }

    fn read(&self, keys: &[&str]) -> String {
        json(
            &self
                .engine
                .get_many(&strings(keys))
                .expect("keys that could exist")
                .into(),
        )
    }

    fn scan(&self, range: &[(&str, JsValue)]) -> String {
        let mut range = range.to_vec();
        range.push(("values", true.into()));
        json(&self.engine.scan(object(&range)).expect("a range"))
    }

    fn events(&self, name: &str) -> Vec<JsValue> {
        let events = self.events.borrow();
        events
            .iter()
            .filter(|event| get(event, "event").as_string().as_deref() == Some(name))
            .cloned()
            .collect()
    }
}

#[wasm_bindgen_test]
async fn what_is_written_is_read_at_once_and_when_it_is_durable() {
    let store = open("write");
    let promise = store
        .engine
        .transact(
            &strings(&["a", "b"]),
            &values(&[Some(&[1, 2]), Some(&[])]),
            None,
            None,
            None,
        )
        .unwrap();
    assert_eq!(store.read(&["a", "b", "c"]), "[[1,2],[],null]");
    assert_eq!(store.engine.size(), 2);
    settled(promise).await.unwrap();
    assert_eq!(json(&store.engine.get("a".into()).unwrap()), "[1,2]");
    assert!(store.engine.get("c".into()).unwrap().is_undefined());
    assert_eq!(
        ["a", "b", "c"].map(|key| store.engine.has(key.into()).unwrap()),
        [true, true, false]
    );

    store.write(&["a"], &[None]).await;
    assert_eq!(store.read(&["a", "b"]), "[null,[]]");
    assert_eq!(store.engine.size(), 1);

    settled(store.engine.clear(None, None).unwrap()).await.unwrap();
    assert_eq!(store.engine.size(), 0);
}

#[wasm_bindgen_test]
async fn a_page_holds_keys_and_values_in_order() {
    let store = open("scan");
    let one: Option<&[u8]> = Some(&[1]);
    store.write(&["b", "a/2", "a/1", "c", "é", "𝄞"], &[one; 6]).await;
    for (range, keys) in [
        (vec![], r#"["a/1","a/2","b","c","é","𝄞"]"#),
        (vec![("prefix", "a/".into())], r#"["a/1","a/2"]"#),
        (vec![("gte", "b".into()), ("lt", "é".into())], r#"["b","c"]"#),
        (vec![("gt", "b".into()), ("lte", "é".into())], r#"["c","é"]"#),
        (vec![("reverse", true.into()), ("limit", 2.into())], r#"["𝄞","é"]"#),
        (vec![("prefix", "z".into())], "[]"),
        (vec![("gt", "c".into()), ("lt", "b".into())], "[]"),
    ] {
        let page = store.scan(&range);
        assert!(page.starts_with(&format!(r#"{{"keys":{keys},"#)), "{range:?}: {page}");
    }
    assert_eq!(store.scan(&[("limit", 1.into())]), r#"{"keys":["a/1"],"values":[[1]]}"#);
}

#[wasm_bindgen_test]
async fn a_long_range_comes_in_pages() {
    let store = open("pages");
    let keys: Vec<String> = (0..600).map(|n| format!("{n:04}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    store.write(&keys, &vec![Some(&[7][..]); 600]).await;
    let mut seen = Vec::new();
    let mut next = JsValue::UNDEFINED;
    loop {
        let page = store
            .engine
            .scan(object(&[("values", false.into()), ("gt", next)]))
            .unwrap();
        let keys: Array = get(&page, "keys").unchecked_into();
        assert_eq!(
            get(&page, "values").unchecked_into::<Array>().length(),
            0,
            "values were not asked for"
        );
        seen.extend(keys.iter().filter_map(|key| key.as_string()));
        next = get(&page, "next");
        if next.is_undefined() {
            break;
        }
    }
    assert_eq!(seen, keys);
}

#[wasm_bindgen_test]
async fn a_stale_context_keeps_what_it_has_not_seen() {
    let store = open("siblings");
    let before = get(&store.engine.siblings("k".into()).unwrap(), "context");
    let write = |byte: u8, context: &JsValue| {
        store
            .engine
            .transact(
                &strings(&["k"]),
                &values(&[Some(&[byte])]),
                Some(Array::of1(context)),
                None,
                None,
            )
            .unwrap()
    };
    settled(write(1, &before)).await.unwrap();
    settled(write(2, &before)).await.unwrap();

    let siblings = store.engine.siblings("k".into()).unwrap();
    let found: Array = get(&siblings, "values").unchecked_into();
    let mut bytes: Vec<String> = found.iter().map(|sibling| json(&get(&sibling, "value"))).collect();
    bytes.sort();
    assert_eq!(bytes, ["[1]", "[2]"]);
    for sibling in found.iter() {
        assert_eq!(get(&sibling, "replica").as_string().map(|id| id.len()), Some(32));
        assert!((js_sys::Date::now() - get(&sibling, "time").as_f64().unwrap()).abs() < 60_000.0);
    }
    let conflicts = store
        .engine
        .scan(object(&[("values", false.into()), ("conflicts", true.into())]))
        .unwrap();
    assert_eq!(json(&get(&conflicts, "keys")), r#"["k"]"#);

    settled(write(3, &get(&siblings, "context"))).await.unwrap();
    assert_eq!(
        json(&get(
            &get(&store.engine.siblings("k".into()).unwrap(), "values"),
            "length"
        )),
        "1"
    );
    let conflicts = store
        .engine
        .scan(object(&[("values", false.into()), ("conflicts", true.into())]))
        .unwrap();
    assert_eq!(json(&get(&conflicts, "keys")), "[]");
}

/// The rows of a `changed` event, sorted, since the order within a transaction means nothing; then the size.
fn rows(event: &JsValue) -> (Vec<String>, f64) {
    let column = |name: &str| get(event, name).unchecked_into::<Array>();
    let columns = ["keys", "values", "previous", "origins"].map(column);
    let row = |at: u32| json(&columns.iter().map(|column| column.get(at)).collect::<Array>().into());
    let mut rows: Vec<String> = (0..columns[0].length()).map(row).collect();
    rows.sort();
    assert_eq!(column("conflicts").length(), 0);
    (rows, get(event, "size").as_f64().expect("a size"))
}

#[wasm_bindgen_test]
async fn a_transaction_is_told_as_one_event_and_only_what_is_watched_crosses() {
    let store = open("events");
    store.write(&["a", "b"], &[Some(&[1]), Some(&[2])]).await;
    store.engine.watch(vec!["a".into(), "c/".into()]);
    store
        .write(&["a", "b", "c/1"], &[Some(&[3]), Some(&[4]), Some(&[5])])
        .await;
    store.write(&["a"], &[None]).await;

    let changed: Vec<_> = store.events("changed").iter().map(rows).collect();
    let rows = |rows: &[&str]| rows.iter().map(|row| row.to_string()).collect::<Vec<_>>();
    assert_eq!(
        changed,
        [
            (vec![], 2.0),
            (rows(&[r#"["a",[3],[1],"local"]"#, r#"["c/1",[5],null,"local"]"#]), 3.0),
            (rows(&[r#"["a",null,[3],"local"]"#]), 2.0),
        ]
    );
}

#[wasm_bindgen_test]
async fn what_cannot_be_stored_is_an_error_with_a_code_and_stores_nothing() {
    let store = open("errors");
    let long = "é".repeat(513);
    let huge = vec![0; 16 * 1024 * 1024 + 1];
    let small: &[u8] = &[1];
    for (keys, items, expected) in [
        (vec!["good", ""], vec![Some(small), Some(small)], "KeyEmpty"),
        (vec!["good", &long], vec![Some(small), Some(small)], "KeyTooLong"),
        (vec!["good", "k"], vec![Some(small), Some(&huge[..])], "ValueTooLarge"),
        (vec!["good", "k"], vec![Some(small)], "Internal"),
    ] {
        let error = match store
            .engine
            .transact(&strings(&keys), &values(&items), None, None, None)
        {
            Ok(promise) => settled(promise).await.expect_err(expected),
            Err(failure) => failure.into(),
        };
        assert_eq!(code(error), expected);
        assert_eq!(store.engine.size(), 0);
    }
    assert_eq!(code(store.engine.get(String::new()).unwrap_err()), "KeyEmpty");
    assert_eq!(code(store.engine.siblings(long).unwrap_err()), "KeyTooLong");
    let forged = Array::of1(&Uint8Array::from(&[0xff; 3][..]));
    let refused = store
        .engine
        .transact(&strings(&["k"]), &values(&[Some(small)]), Some(forged), None, None);
    assert_eq!(code(refused.unwrap_err()), "InvalidContext");
}

#[wasm_bindgen_test]
fn wrong_options_are_refused_before_anything_starts() {
    let deaf = || Function::new_no_args("");
    let unusable = Engine::open(options("s", &["/ip4/127.0.0.1"]), deaf()).expect_err("not a relay");
    assert_eq!(code(unusable), "InvalidRelayAddress");
    let nameless = Engine::open(options("", &[]), deaf()).expect_err("no name");
    assert_eq!(code(nameless), "InvalidOptions");
}

#[wasm_bindgen_test]
fn the_status_is_a_plain_object_in_the_words_of_the_api() {
    let store = open("status");
    let status = store.engine.status().unwrap();
    let expected = concat!(
        r#"{"role":"leader","network":"offline","peers":[],"#,
        r#""storage":{"kind":"memory","persisted":false,"usedBytes":0},"relays":[],"pending":0,"#,
        r#""refused":{"connections":0,"strangers":0,"streams":0,"frames":0,"pauses":0,"messages":0,"floods":0,"presences":0,"transactions":0,"members":0}}"#
    );
    assert_eq!(json(&status), expected);
    let expected = r#"{"keyBytes":1024,"transactionWrites":65536,"presenceBytes":4096}"#;
    assert_eq!(json(&limits().unwrap()), expected);
}

#[wasm_bindgen_test]
async fn a_closed_store_refuses_writes() {
    let store = open("close");
    store.write(&["k"], &[Some(&[1])]).await;
    settled(store.engine.close().unwrap()).await.unwrap();
    let refused = store
        .engine
        .transact(&strings(&["k"]), &values(&[Some(&[2])]), None, None, None)
        .unwrap();
    assert_eq!(code(settled(refused).await.unwrap_err()), "Closed");
    assert_eq!(
        code(settled(store.engine.clear(None, None).unwrap()).await.unwrap_err()),
        "Closed"
    );
    settled(store.engine.close().unwrap()).await.unwrap();
}
