//! Reading an invitation, before there is a store.

use gossipstore_core::membership::{Invitation, SECRET_BYTES, Secret};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{convert, error::Failure};

/// What an invitation says: `name`, `secret`, `relays` and `expires`. Times in seconds since 1970.
#[wasm_bindgen(js_name = readInvitation)]
pub fn read_invitation(invitation: &str, now: f64) -> Result<JsValue, Failure> {
    let Invitation {
        name,
        secret,
        relays,
        expires,
    } = Invitation::decode(invitation, now as u64)?;
    Ok(convert::object([
        ("name", name.into()),
        ("secret", Uint8Array::from(&secret.bytes()[..]).into()),
        (
            "relays",
            relays.into_iter().map(JsValue::from).collect::<Array>().into(),
        ),
        ("expires", expires.map(|at| at as f64).into()),
    ]))
}

/// What the store of a secret is called among its members, in hexadecimal.
#[wasm_bindgen(js_name = storeOf)]
pub fn store_of(secret: &[u8]) -> Result<String, Failure> {
    let secret: [u8; SECRET_BYTES] = secret
        .try_into()
        .map_err(|_| Failure::internal("a secret has another length"))?;
    Ok(Secret::new(secret).store().to_string())
}
