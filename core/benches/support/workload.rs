//! Keys, values and changes, the same in every run.

use gossipstore_core::replica::{Key, Value, Write};

/// Bytes of every key.
pub const KEY_BYTES: usize = 12;

/// Bytes of every value.
pub const VALUE_BYTES: usize = 50;

/// A key that the store holds from the beginning. Between it and the next there is room for one that is inserted later.
pub fn key(at: usize) -> Key {
    numbered(2 * at)
}

/// A key that is not there from the beginning: the one after `key(at)`.
pub fn new_key(at: usize) -> Key {
    numbered(2 * at + 1)
}

fn numbered(number: usize) -> Key {
    Key::from(format!("key-{number:08}"))
}

/// Random bytes, which do not compress; the same for the same seed (splitmix64).
pub fn value(seed: usize) -> Value {
    let mut state = seed as u64;
    let mut bytes = [0; VALUE_BYTES];
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let length = chunk.len();
        chunk.copy_from_slice(&mixed.to_le_bytes()[..length]);
    }
    Value::from(bytes)
}

/// The `i`th of `count` places, each named once and neighbours far apart. `count` is a power of ten, with which an odd number
/// that does not end in 5 shares no factor; near the golden section, places are spread evenly whatever their number.
pub fn scattered(i: usize, count: usize) -> usize {
    let step = (count * 618_033 / 1_000_000) | 1;
    i * step % count
}

/// A write of `value` over all that is seen under `key`.
pub fn put(key: Key, value: Value) -> Write {
    Write::Put {
        key,
        value,
        context: None,
    }
}

/// A delete of all that is seen under `key`.
pub fn delete(key: Key) -> Write {
    Write::Delete { key, context: None }
}
