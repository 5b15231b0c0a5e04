//! What the page hears of a panic. By itself in a file: the trap leaves the thread counted as panicking, and what shares it unusable.

#![cfg(target_arch = "wasm32")]

use std::{cell::RefCell, rc::Rc};

use js_sys::Function;
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::*;

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
fn a_panic_is_told_to_the_page_before_the_trap() {
    let words: Rc<RefCell<Option<String>>> = Rc::default();
    let heard = words.clone();
    let listener = Closure::<dyn FnMut(String)>::new(move |message| *heard.borrow_mut() = Some(message));
    gossipstore_wasm::on_panic(listener.into_js_value().unchecked_into());

    // Called through JavaScript, the trap unwinds no further than to its `catch`, so that this test lives on.
    let defect = Closure::<dyn FnMut()>::new(|| panic!("an invariant was broken")).into_js_value();
    let catch = Function::new_with_args(
        "defect",
        "try { defect() } catch (trap) { return trap.constructor.name }",
    );
    let trap = catch.call1(&JsValue::UNDEFINED, &defect).unwrap();

    assert_eq!(trap.as_string().as_deref(), Some("RuntimeError"));
    let words = words.borrow().clone().expect("the listener was called");
    assert!(
        words.contains("an invariant was broken") && words.contains("panic.rs"),
        "{words}"
    );
}
