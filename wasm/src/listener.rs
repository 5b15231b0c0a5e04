//! Hearing what the browser tells.

use std::{cell::Cell, rc::Rc};

use futures::channel::oneshot;
use js_sys::Function;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::EventTarget;

/// Resolves with the first of some events.
pub(crate) fn first_of<const N: usize>(
    target: &EventTarget,
    names: [&'static str; N],
) -> (oneshot::Receiver<&'static str>, [Listener; N]) {
    let (tell, told) = oneshot::channel();
    let tell = Rc::new(Cell::new(Some(tell)));
    let listeners = names.map(|name| {
        let tell = Rc::clone(&tell);
        Listener::new(target, name, move || {
            if let Some(tell) = tell.take() {
                // Nobody waits any more, if that fails.
                let _ = tell.send(name);
            }
        })
    });
    (told, listeners)
}

/// Hears an event until it is dropped.
pub(crate) struct Listener {
    target: EventTarget,
    name: &'static str,
    closure: Closure<dyn FnMut()>,
}

impl Listener {
    fn new(target: &EventTarget, name: &'static str, hear: impl FnMut() + 'static) -> Self {
        let closure = Closure::<dyn FnMut()>::new(hear);
        // A listener that is a function is always taken.
        let _ = target.add_event_listener_with_callback(name, closure.as_ref().unchecked_ref::<Function>());
        Self {
            target: target.clone(),
            name,
            closure,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let function = self.closure.as_ref().unchecked_ref::<Function>();
        // It was added, so it is there.
        let _ = self.target.remove_event_listener_with_callback(self.name, function);
    }
}
