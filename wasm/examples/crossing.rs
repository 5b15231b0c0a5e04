//! The ways in which values can cross between JavaScript and wasm, side by side, for `bench/crossing.mjs`.
//!
//! Each way ends with the value's bytes in wasm's memory, where the store needs them (it hashes and sends them), and begins
//! with them on the way back. With serde-wasm-bindgen the object itself crosses and Rust makes the bytes; otherwise
//! JavaScript has made them and they cross as they are.

use std::collections::BTreeMap;

use js_sys::{Array, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// A map from keys to the bytes of values.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Crossing {
    values: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: String,
    value: serde_json::Value,
}

fn to_js(value: &impl Serialize) -> JsValue {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .expect("JSON")
}

impl Crossing {
    fn insert(&mut self, Entry { key, value }: Entry) {
        self.values.insert(key, serde_json::to_vec(&value).expect("JSON"));
    }

    fn value(&self, key: &str) -> serde_json::Value {
        serde_json::from_slice(&self.values[key]).expect("JSON")
    }
}

#[wasm_bindgen]
impl Crossing {
    /// An empty map.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// One value as an object.
    pub fn set_object(&mut self, key: String, value: JsValue) {
        self.insert(Entry {
            key,
            value: serde_wasm_bindgen::from_value(value).expect("an object"),
        });
    }

    /// See [`Crossing::set_object`].
    pub fn get_object(&self, key: &str) -> JsValue {
        to_js(&self.value(key))
    }

    /// One value as bytes.
    pub fn set_bytes(&mut self, key: String, value: Vec<u8>) {
        self.values.insert(key, value);
    }

    /// See [`Crossing::set_bytes`].
    pub fn get_bytes(&self, key: &str) -> Uint8Array {
        Uint8Array::from(&self.values[key][..])
    }

    /// Many values as an array of `{ key, value }`.
    pub fn set_objects(&mut self, entries: JsValue) {
        let entries: Vec<Entry> = serde_wasm_bindgen::from_value(entries).expect("entries");
        entries.into_iter().for_each(|entry| self.insert(entry));
    }

    /// See [`Crossing::set_objects`].
    pub fn scan_objects(&self, from: &str, count: usize) -> JsValue {
        let keys = self.values.range(from.to_owned()..).take(count).map(|(key, _)| key);
        to_js(
            &keys
                .map(|key| Entry {
                    key: key.clone(),
                    value: self.value(key),
                })
                .collect::<Vec<_>>(),
        )
    }

    /// Many values as a column of keys and one of bytes: what the bindings do.
    pub fn set_columns(&mut self, keys: &Array, values: &Array) {
        for (key, value) in keys.iter().zip(values.iter()) {
            let value: &Uint8Array = value.dyn_ref().expect("bytes");
            self.values.insert(key.as_string().expect("a key"), value.to_vec());
        }
    }

    /// See [`Crossing::set_columns`].
    pub fn scan_columns(&self, from: &str, count: usize) -> Array {
        let (keys, values) = (Array::new(), Array::new());
        for (key, value) in self.values.range(from.to_owned()..).take(count) {
            keys.push(&JsValue::from_str(key));
            values.push(&Uint8Array::from(&value[..]));
        }
        Array::of2(&keys, &values)
    }

    /// Many values in one buffer: length and bytes of a key, length and bytes of its value, and so on.
    pub fn set_packed(&mut self, mut packed: &[u8]) {
        fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
            let (length, after) = rest.split_first_chunk().expect("a length");
            let (bytes, after) = after.split_at(u32::from_le_bytes(*length) as usize);
            *rest = after;
            bytes
        }
        while !packed.is_empty() {
            let key = String::from_utf8(take(&mut packed).to_vec()).expect("UTF-8");
            self.values.insert(key, take(&mut packed).to_vec());
        }
    }

    /// See [`Crossing::set_packed`].
    pub fn scan_packed(&self, from: &str, count: usize) -> Uint8Array {
        let mut packed = Vec::new();
        for (key, value) in self.values.range(from.to_owned()..).take(count) {
            for bytes in [key.as_bytes(), value] {
                packed.extend((bytes.len() as u32).to_le_bytes());
                packed.extend(bytes);
            }
        }
        Uint8Array::from(&packed[..])
    }
}
