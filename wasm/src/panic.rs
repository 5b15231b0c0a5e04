//! What is left to do when the engine panics.
//!
//! Compiled to wasm, a panic ends in a trap: the call that ran stops where it stood, promises that it owed stay pending, locks
//! stay taken. Nothing of this module may be called again. The one thing that still works is to say so: the hook hands the
//! panic's words to the facade, which fails what waits and refuses what comes with the code `Internal`.

use std::{cell::RefCell, panic};

use js_sys::Function;
use wasm_bindgen::prelude::*;

thread_local! {
    static LISTENER: RefCell<Option<Function>> = const { RefCell::new(None) };
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
}

/// Calls `listener` with the panic's words and place, once, should the engine panic. The page's console gets them too. Another
/// call replaces the listener.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(listener: Function) {
    let first = LISTENER.with_borrow_mut(|slot| slot.replace(listener).is_none());
    if !first {
        return;
    }
    // What was installed before (a test runner's, for one) hears of it too.
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info.to_string();
        error(&message);
        // Taken, not borrowed: a listener that panics in turn must not end up here again.
        if let Some(listener) = LISTENER.take() {
            // A listener that throws has nobody to throw to.
            let _ = listener.call1(&JsValue::UNDEFINED, &JsValue::from_str(&message));
        }
        previous(info);
    }));
}
