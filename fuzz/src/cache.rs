//! The LRU cache against a list, under any calls.

use std::hash::{BuildHasher, Hasher};

use gossipstore_core::cache::{Eviction, Limits, LruCache};

use crate::tape::Tape;

/// Plays the script: limits, which hasher, then calls.
pub fn run(script: &[u8]) {
    let mut tape = Tape::new(script);
    let limits = match tape.below(4) {
        0 => Limits::new(Some(1 + tape.below(16)), None),
        1 => Limits::new(None, Some(tape.number().max(1))),
        2 => Limits::new(Some(1 + tape.below(16)), Some(1 + u64::from(tape.byte()))),
        _ => Limits::new(None, None),
    };
    let limits = limits.unwrap_or_default();
    if tape.below(2) == 0 {
        play(LruCache::new(limits), &mut tape);
    } else {
        play(LruCache::with_hasher(limits, Colliding), &mut tape);
    }
}

/// Key and value as one number each.
type Subject<S> = LruCache<u8, u8, S>;

fn play<S: BuildHasher + Clone>(mut cache: Subject<S>, tape: &mut Tape<'_>) {
    let mut model = Model {
        entries: Vec::new(),
        limits: cache.limits(),
    };
    while !tape.is_empty() {
        let (call, key) = (tape.below(8), tape.byte() % 32);
        match call {
            0..3 => {
                let value = tape.byte();
                let bytes = if call == 0 {
                    tape.number()
                } else {
                    u64::from(tape.byte())
                };
                let (mut evicted, mut expected) = (Vec::new(), Vec::new());
                let replaced = cache.insert(key, value, bytes, |key, value, why| evicted.push((key, value, why)));
                assert_eq!(replaced, model.insert((key, value, bytes), &mut expected));
                assert_eq!(evicted, expected);
            }
            3 => assert_eq!(cache.get(&key).copied(), model.get(key)),
            4 => assert_eq!(cache.peek(&key).copied(), model.peek(key)),
            5 => assert_eq!(cache.remove(&key), model.take(key).map(|(_, value, _)| value)),
            6 => cache = cache.clone(),
            _ => {
                cache.clear();
                model.entries.clear();
            }
        }
        assert_eq!(cache.contains(&key), model.peek(key).is_some());
        assert_eq!((cache.len(), cache.bytes()), (model.entries.len(), model.bytes()));
        let newest_first = cache.iter().map(|(key, value)| (*key, *value));
        assert!(newest_first.eq(model.entries.iter().rev().map(|(key, value, _)| (*key, *value))));
    }
}

/// What a cache should hold: key, value and bytes, the entry used longest ago first.
struct Model {
    entries: Vec<(u8, u8, u64)>,
    limits: Limits,
}

impl Model {
    fn bytes(&self) -> u64 {
        self.entries.iter().map(|(_, _, bytes)| bytes).sum()
    }

    fn peek(&self, key: u8) -> Option<u8> {
        let found = self.entries.iter().find(|(held, ..)| *held == key)?;
        Some(found.1)
    }

    fn take(&mut self, key: u8) -> Option<(u8, u8, u64)> {
        let at = self.entries.iter().position(|(held, ..)| *held == key)?;
        Some(self.entries.remove(at))
    }

    fn get(&mut self, key: u8) -> Option<u8> {
        let entry = self.take(key)?;
        self.entries.push(entry);
        Some(entry.1)
    }

    fn insert(&mut self, entry: (u8, u8, u64), evicted: &mut Vec<(u8, u8, Eviction)>) -> Option<u8> {
        let (key, value, bytes) = entry;
        let replaced = self.take(key).map(|(_, value, _)| value);
        if bytes > self.limits.max_bytes() {
            evicted.push((key, value, Eviction::TooLarge));
            return replaced;
        }
        while self.entries.len() >= self.limits.max_items() {
            let (key, value, _) = self.entries.remove(0);
            evicted.push((key, value, Eviction::Items));
        }
        while self.bytes() > self.limits.max_bytes() - bytes {
            let (key, value, _) = self.entries.remove(0);
            evicted.push((key, value, Eviction::Bytes));
        }
        self.entries.push(entry);
        replaced
    }
}

/// Hashes everything to one number, so that entries can only be told apart by comparing keys.
#[derive(Clone)]
struct Colliding;

impl BuildHasher for Colliding {
    type Hasher = Zero;

    fn build_hasher(&self) -> Zero {
        Zero
    }
}

struct Zero;

impl Hasher for Zero {
    fn write(&mut self, _: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}
