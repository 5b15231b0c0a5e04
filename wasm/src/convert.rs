//! JavaScript values into Rust values and back: columns of keys, values and contexts.
//!
//! The facade is typed and checks what people hand in, so what is wrong here is a defect of the facade: `expect`s would take
//! the whole tab's store down for it, hence the [`Failure`]s with code `Internal`.

use gossipstore_core::{
    causality::{Context, Key},
    replica::{CommandError, Value, Write},
    wire::KEY_BYTES_MAX,
};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::Failure;

/// A key that the store could hold. Reads are checked as writes are: a key that cannot exist is a mistake to be told of, not a
/// key that happens to be absent.
pub(crate) fn checked(key: String) -> Result<Key, Failure> {
    match key.len() {
        0 => Err(CommandError::KeyEmpty.into()),
        bytes if bytes > KEY_BYTES_MAX => Err(CommandError::KeyTooLong { bytes }.into()),
        _ => Ok(key.into()),
    }
}

/// The keys of a column.
pub(crate) fn keys(column: &Array) -> Result<Vec<Key>, Failure> {
    column
        .iter()
        .map(|key| {
            checked(
                key.as_string()
                    .ok_or_else(|| Failure::internal("a key is not a string"))?,
            )
        })
        .collect()
}

/// Three columns of one length to writes: keys; values, where `null` stands for a deletion and a number for an addition to a counter;
/// contexts, where `undefined` stands for what is there now. A missing column of contexts is one of `undefined`.
pub(crate) fn writes(keys: &Array, values: &Array, contexts: Option<&Array>) -> Result<Vec<Write>, Failure> {
    let length = keys.length();
    if values.length() != length || contexts.is_some_and(|contexts| contexts.length() != length) {
        return Err(Failure::internal("the columns of a transaction differ in length"));
    }
    let keys = self::keys(keys)?;
    keys.into_iter()
        .zip(values.iter())
        .enumerate()
        .map(|(at, (key, value))| {
            let context = contexts.map_or(JsValue::UNDEFINED, |contexts| contexts.get(at as u32));
            let context = context_from(context)?;
            if value.is_null() {
                return Ok(Write::Delete { key, context });
            }
            if let Some(amount) = value.as_f64() {
                return Ok(Write::Add {
                    key,
                    amount: integer(amount)?,
                });
            }
            let value = bytes(value).ok_or_else(|| Failure::internal("a value is not a Uint8Array"))?;
            Ok(Write::Put {
                key,
                value: value.into(),
                context,
            })
        })
        .collect()
}

/// Keys, and values in one piece of memory by their lengths, to writes; a length below 0 stands for a deletion.
pub(crate) fn packed_writes(keys: &Array, bytes: &[u8], lengths: &[i32]) -> Result<Vec<Write>, Failure> {
    let keys = self::keys(keys)?;
    if keys.len() != lengths.len() {
        return Err(Failure::internal("the columns of a transaction differ in length"));
    }
    let mut rest = bytes;
    let writes = keys.into_iter().zip(lengths).map(|(key, length)| {
        let context = None;
        let Ok(length) = usize::try_from(*length) else {
            return Ok(Write::Delete { key, context });
        };
        let (value, behind) = rest
            .split_at_checked(length)
            .ok_or_else(|| Failure::internal("values are longer than their bytes"))?;
        rest = behind;
        let value = value.into();
        Ok(Write::Put { key, value, context })
    });
    writes.collect()
}

/// A number that JavaScript can tell from its neighbours.
fn integer(number: f64) -> Result<i64, Failure> {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    if number.fract() == 0.0 && number.abs() <= SAFE_MAX {
        Ok(number as i64)
    } else {
        Err(Failure::internal("what is added to a counter is no safe integer"))
    }
}

/// A context that came from [`siblings`](crate::engine::Engine::siblings), or `undefined`.
fn context_from(context: JsValue) -> Result<Option<Context>, Failure> {
    if context.is_undefined() {
        return Ok(None);
    }
    let context = bytes(context)
        .and_then(|bytes| Context::decode(&bytes))
        .ok_or_else(Failure::invalid_context)?;
    Ok(Some(context))
}

fn bytes(value: JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

/// The bytes of a value, as a copy of its own in the page's memory.
pub(crate) fn to_js(value: &Value) -> JsValue {
    Uint8Array::from(&value[..]).into()
}

/// As [`to_js`]; nothing is `undefined`.
pub(crate) fn optional_to_js(value: Option<&Value>) -> JsValue {
    value.map_or(JsValue::UNDEFINED, to_js)
}

/// As [`to_js`]; a value that the storage has lost is `null`.
pub(crate) fn found_to_js(value: Option<&Value>) -> JsValue {
    value.map_or(JsValue::NULL, to_js)
}

/// A plain object with these properties.
pub(crate) fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    let object = js_sys::Object::new();
    for (name, value) in properties {
        // Setting a property of a fresh plain object cannot fail.
        let _ = js_sys::Reflect::set(&object, &JsValue::from_str(name), &value);
    }
    object.into()
}
