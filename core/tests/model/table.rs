//! Values by number: equal values have one number, so that a state of the world is a handful of numbers.

use std::{
    collections::HashMap,
    fmt::{Debug, Write},
    sync::{Arc, PoisonError, RwLock},
};

/// The number of a value in its table.
pub(crate) type Number = u32;

/// Every value that was met, once.
pub(crate) struct Table<T> {
    rows: RwLock<Rows<T>>,
}

struct Rows<T> {
    numbers: HashMap<[u8; 32], Number>,
    values: Vec<Arc<T>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        let rows = Rows {
            numbers: HashMap::new(),
            values: Vec::new(),
        };
        Self {
            rows: RwLock::new(rows),
        }
    }
}

impl<T: Debug> Table<T> {
    /// The number of a value that is told from others by all that its `Debug` shows.
    pub(crate) fn number(&self, value: T) -> Number {
        let print = print(&value);
        self.number_of(print, || value)
    }
}

impl<T> Table<T> {
    /// The number of the value with this print, which is made when it is new.
    pub(crate) fn number_of(&self, print: [u8; 32], value: impl FnOnce() -> T) -> Number {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let Rows { numbers, values } = &mut *rows;
        *numbers.entry(print).or_insert_with(|| {
            values.push(Arc::new(value()));
            Number::try_from(values.len() - 1).expect("memory ends before the numbers do")
        })
    }

    /// The value with this number.
    pub(crate) fn get(&self, number: Number) -> Arc<T> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rows.values[number as usize])
    }

    /// How many values were met.
    pub(crate) fn len(&self) -> usize {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).values.len()
    }
}

/// A hash of all that a value's `Debug` shows.
pub(crate) fn print(value: &impl Debug) -> [u8; 32] {
    // Room for most, so that the text does not move while it grows.
    let mut text = String::with_capacity(8 * 1024);
    write!(text, "{value:?}").expect("memory takes what is written");
    *blake3::hash(text.as_bytes()).as_bytes()
}
