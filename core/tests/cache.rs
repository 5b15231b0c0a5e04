//! The cache against the golden vectors that it shares with the TypeScript class, and against an obvious model under random
//! operations.

use std::{cell::Cell, collections::VecDeque, hash::BuildHasher, rc::Rc};

use gossipstore_core::cache::{Eviction, LimitError, Limits, LruCache};
use proptest::{collection::vec, prelude::*, sample::select};
use serde::Deserialize;

/// What an operation does: what it returned, what it evicted, and what the cache holds after it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
struct Outcome {
    returns: Option<Returned>,
    /// Value, key, reason.
    evicted: Vec<(String, String, Reason)>,
    /// Key and value, newest first.
    content: Vec<(String, String)>,
    bytes: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
enum Returned {
    Flag(bool),
    Value(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    MaxItems,
    MaxMemory,
    TooLarge,
}

impl From<Eviction> for Reason {
    fn from(why: Eviction) -> Self {
        match why {
            Eviction::Items => Self::MaxItems,
            Eviction::Bytes => Self::MaxMemory,
            Eviction::TooLarge => Self::TooLarge,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
enum Operation {
    Set {
        key: String,
        value: String,
        size: u64,
    },
    Get {
        key: String,
    },
    Peek {
        key: String,
    },
    Has {
        key: String,
    },
    Delete {
        key: String,
    },
    Clear,
    /// The cached value changes its size without the cache being told.
    Mutate {
        key: String,
        size: u64,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    max_items: Option<usize>,
    max_memory_bytes: Option<u64>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(flatten)]
    operation: Operation,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Clone, Debug)]
struct Sized {
    id: String,
    size: Rc<Cell<u64>>,
}

type Subject<S> = LruCache<String, Sized, S>;

fn apply<S: BuildHasher>(cache: &mut Subject<S>, operation: &Operation) -> Outcome {
    let mut evicted = Vec::new();
    let id = |value: Option<&Sized>| value.map(|value| Returned::Value(value.id.clone()));
    let returns = match operation {
        Operation::Set { key, value, size } => {
            let replaced = cache.peek(key).map(|old| old.id.clone());
            let value = Sized {
                id: value.clone(),
                size: Rc::new(Cell::new(*size)),
            };
            let returned = cache.insert(key.clone(), value, *size, |key, value, why| {
                evicted.push((value.id, key, why.into()));
            });
            assert_eq!(returned.map(|old| old.id), replaced, "insert returns what it replaced");
            None
        }
        Operation::Get { key } => id(cache.get(key.as_str())),
        Operation::Peek { key } => id(cache.peek(key.as_str())),
        Operation::Has { key } => Some(Returned::Flag(cache.contains(key.as_str()))),
        Operation::Delete { key } => Some(Returned::Flag(cache.remove(key.as_str()).is_some())),
        Operation::Clear => {
            cache.clear();
            None
        }
        Operation::Mutate { key, size } => {
            if let Some(value) = cache.peek(key.as_str()) {
                value.size.set(*size);
            }
            None
        }
    };
    let content: Vec<_> = cache
        .iter()
        .map(|(key, value)| (key.clone(), value.id.clone()))
        .collect();
    assert_eq!(cache.iter().len(), content.len());
    assert_eq!(cache.len(), content.len());
    assert_eq!(cache.is_empty(), content.is_empty());
    Outcome {
        returns,
        evicted,
        content,
        bytes: cache.bytes(),
    }
}

#[test]
fn golden_vectors() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("vectors/lru.json")).unwrap();
    assert!(cases.len() >= 10, "the file is whole");
    for case in cases {
        let limits = Limits::new(case.max_items, case.max_memory_bytes).unwrap();
        let mut cache = Subject::new(limits);
        for (index, step) in case.steps.iter().enumerate() {
            let outcome = apply(&mut cache, &step.operation);
            assert_eq!(
                outcome, step.outcome,
                "{}, step {index}: {:?}",
                case.name, step.operation
            );
        }
    }
}

/// The obvious model: a list, newest first.
struct Model {
    list: VecDeque<(String, String, u64)>,
    max_items: usize,
    max_bytes: u64,
}

impl Model {
    fn bytes(&self) -> u64 {
        self.list.iter().map(|(_, _, bytes)| bytes).sum()
    }

    fn take(&mut self, key: &str) -> Option<(String, String, u64)> {
        let index = self.list.iter().position(|(held, _, _)| held == key)?;
        self.list.remove(index)
    }

    fn find(&self, key: &str) -> Option<Returned> {
        let found = self.list.iter().find(|(held, _, _)| held == key)?;
        Some(Returned::Value(found.1.clone()))
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        let mut evicted = Vec::new();
        let returns = match operation {
            Operation::Set { key, value, size } => {
                self.take(key);
                if *size > self.max_bytes {
                    evicted.push((value.clone(), key.clone(), Reason::TooLarge));
                } else {
                    self.list.push_front((key.clone(), value.clone(), *size));
                }
                while self.list.len() > self.max_items || self.bytes() > self.max_bytes {
                    let why = if self.list.len() > self.max_items {
                        Reason::MaxItems
                    } else {
                        Reason::MaxMemory
                    };
                    let (key, value, _) = self.list.pop_back().unwrap();
                    evicted.push((value, key, why));
                }
                None
            }
            Operation::Get { key } => {
                if let Some(found) = self.take(key) {
                    self.list.push_front(found);
                }
                self.find(key)
            }
            Operation::Peek { key } => self.find(key),
            Operation::Has { key } => Some(Returned::Flag(self.find(key).is_some())),
            Operation::Delete { key } => Some(Returned::Flag(self.take(key).is_some())),
            Operation::Clear => {
                self.list.clear();
                None
            }
            Operation::Mutate { .. } => None,
        };
        Outcome {
            returns,
            evicted,
            content: self
                .list
                .iter()
                .map(|(key, value, _)| (key.clone(), value.clone()))
                .collect(),
            bytes: self.bytes(),
        }
    }
}

/// Hashes everything to one of four values, so that the table has to tell keys apart by themselves.
#[derive(Clone, Copy, Default)]
struct Colliding;

impl BuildHasher for Colliding {
    type Hasher = CollidingHasher;

    fn build_hasher(&self) -> CollidingHasher {
        CollidingHasher(0)
    }
}

struct CollidingHasher(u64);

impl std::hash::Hasher for CollidingHasher {
    fn finish(&self) -> u64 {
        self.0 % 4
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes
            .iter()
            .fold(self.0, |sum, &byte| sum.wrapping_add(u64::from(byte)));
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || select((0..24).map(|n| format!("k{n}")).collect::<Vec<_>>());
    prop_oneof![
        10 => (key(), any::<u16>(), 0_u64..40).prop_map(|(key, n, size)| Operation::Set { key, value: format!("v{n}"), size }),
        5 => key().prop_map(|key| Operation::Get { key }),
        1 => key().prop_map(|key| Operation::Peek { key }),
        1 => key().prop_map(|key| Operation::Has { key }),
        2 => key().prop_map(|key| Operation::Delete { key }),
        1 => (key(), 0_u64..40).prop_map(|(key, size)| Operation::Mutate { key, size }),
        1 => (0..20_u8).prop_map(|n| if n == 0 { Operation::Clear } else { Operation::Get { key: "k0".into() } }),
    ]
}

fn limits() -> impl Strategy<Value = (Option<usize>, Option<u64>)> {
    prop_oneof![
        (1_usize..20).prop_map(|items| (Some(items), None)),
        (1_u64..200).prop_map(|bytes| (None, Some(bytes))),
        (1_usize..20, 1_u64..200).prop_map(|(items, bytes)| (Some(items), Some(bytes))),
    ]
}

proptest! {
    #[test]
    fn random_operations_agree_with_the_model((max_items, max_bytes) in limits(), operations in vec(operation(), 1..300)) {
        let limits = Limits::new(max_items, max_bytes).unwrap();
        let mut model = Model {
            list: VecDeque::new(),
            max_items: max_items.unwrap_or(usize::MAX),
            max_bytes: max_bytes.unwrap_or(u64::MAX),
        };
        let mut cache = Subject::new(limits);
        let mut colliding = Subject::with_hasher(limits, Colliding);
        for operation in &operations {
            let expected = model.apply(operation);
            prop_assert_eq!(&apply(&mut cache, operation), &expected);
            prop_assert_eq!(&apply(&mut colliding, operation), &expected);
        }
    }
}

#[test]
fn limits_of_nothing_are_refused() {
    assert_eq!(Limits::new(Some(0), None), Err(LimitError::ZeroItems));
    assert_eq!(Limits::new(None, Some(0)), Err(LimitError::ZeroBytes));
    assert_eq!(Limits::new(Some(0), Some(0)), Err(LimitError::ZeroItems));
    assert!(LimitError::ZeroBytes.to_string().contains("at least 1"));
}

#[test]
fn without_limits_the_default_holds() {
    assert_eq!(Limits::new(None, None), Ok(Limits::default()));
    assert_eq!(Limits::default().max_bytes(), 64 * 1024 * 1024);
}

#[test]
fn weights_near_the_end_of_u64_do_not_overflow() {
    let mut cache = LruCache::new(Limits::new(Some(10), None).unwrap());
    let mut evicted = Vec::new();
    for key in ["a", "b", "c"] {
        cache.insert(key, (), u64::MAX - 1, |key, (), why| evicted.push((key, why)));
    }
    assert_eq!(evicted, [("a", Eviction::Bytes), ("b", Eviction::Bytes)]);
    cache.insert("d", (), 1, |_, (), _| panic!("there is room for one byte more"));
    assert_eq!(cache.bytes(), u64::MAX);
}

#[test]
fn a_panic_in_the_callback_leaves_the_count_right() {
    let mut cache = LruCache::new(Limits::new(None, Some(100)).unwrap());
    for key in 0..10 {
        cache.insert(key, (), 10, |_, (), _| ());
    }
    let update = std::panic::AssertUnwindSafe(|| cache.insert(9, (), 50, |_, (), _| panic!("on purpose")));
    std::panic::catch_unwind(update).unwrap_err();
    assert_eq!(cache.bytes(), 80);
    cache.insert(9, (), 50, |_, (), _| ());
    assert_eq!(cache.bytes(), 100);
    assert_eq!(
        cache.iter().map(|(key, ())| *key).collect::<Vec<_>>(),
        [9, 8, 7, 6, 5, 4]
    );
}
