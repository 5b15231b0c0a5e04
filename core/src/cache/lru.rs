//! The cache itself: a slab of slots threaded by two index lists, and a table from key to slot.
//!
//! Slot 0 is the head of a ring: its `older` neighbour is the entry used last, its `newer` neighbour the one used longest
//! ago. With it, linking and unlinking have no special cases. The table holds slot numbers only and compares keys where they
//! lie, in the slab, so each key is stored once.

use alloc::vec::Vec;
use core::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash},
};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::Limits;

/// The head of the ring; among the free slots, the end of their list.
const HEAD: u32 = 0;

/// Slot numbers are 32 bits wide, which halves the links on a 64-bit machine; a cache that is told to hold more entries
/// evicts at this count.
const MAX_SLOTS: usize = u32::MAX as usize - 1;

/// Why the cache dropped an entry by its own decision.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Eviction {
    /// There were more entries than [`Limits::max_items`].
    Items,
    /// The entries weighed more than [`Limits::max_bytes`].
    Bytes,
    /// The value alone weighs more than [`Limits::max_bytes`] and was not kept.
    TooLarge,
}

/// A map bounded by items and bytes that forgets what was used least recently.
///
/// Every operation takes constant time, apart from [`LruCache::clear`] and from inserting a heavy value, which evicts as many
/// light ones as it needs. Beyond the key and the value an entry costs 16 bytes of links and weight and about 5 of table.
///
/// The hasher has a fixed seed, so that equal inputs give equal runs. The order of iteration never depends on it; where a
/// stranger chooses the keys and could make them collide, pass a seeded one to [`LruCache::with_hasher`].
///
/// ```
/// use gossipstore_core::cache::{Limits, LruCache};
///
/// let mut cache = LruCache::new(Limits::new(Some(2), Some(1_000))?);
/// let mut evicted = Vec::new();
/// for (key, bytes) in [("a", 10), ("b", 10), ("c", 10)] {
///     cache.insert(key, (), bytes, |key, (), why| evicted.push((key, why)));
/// }
/// assert_eq!(evicted, [("a", gossipstore_core::cache::Eviction::Items)]);
/// assert_eq!(cache.bytes(), 20);
/// # Ok::<(), gossipstore_core::cache::LimitError>(())
/// ```
#[derive(Clone)]
pub struct LruCache<K, V, S = FixedState> {
    slots: Vec<Slot<K, V>>,
    /// The first free slot; free slots are threaded through `older`. [`HEAD`] when there is none.
    free: u32,
    table: HashTable<u32>,
    bytes: u64,
    limits: Limits,
    hasher: S,
}

#[derive(Clone)]
struct Slot<K, V> {
    newer: u32,
    older: u32,
    bytes: u64,
    /// `None` in the head and in free slots.
    entry: Option<(K, V)>,
}

impl<K: Hash + Eq, V> LruCache<K, V> {
    /// An empty cache. Nothing but the head is allocated before the first entry.
    pub fn new(limits: Limits) -> Self {
        Self::with_hasher(limits, FixedState::default())
    }
}

impl<K: Hash + Eq, V, S: BuildHasher> LruCache<K, V, S> {
    /// An empty cache that hashes its keys with `hasher`.
    pub fn with_hasher(limits: Limits, hasher: S) -> Self {
        let head = Slot {
            newer: HEAD,
            older: HEAD,
            bytes: 0,
            entry: None,
        };
        Self {
            slots: Vec::from([head]),
            free: HEAD,
            table: HashTable::new(),
            bytes: 0,
            limits,
            hasher,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What the entries weigh together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The limits the cache was made with.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether there is an entry under the key. Not a use: the order stays.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.slot_of(key).is_some()
    }

    /// The value under the key, which counts as a use.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let slot = self.slot_of(key)?;
        self.touch(slot);
        self.value(slot)
    }

    /// The value under the key. Not a use: the order stays.
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.value(self.slot_of(key)?)
    }

    /// Puts a value that weighs `bytes` under the key, as the newest entry, and evicts the oldest ones until both limits hold;
    /// each goes to `on_evict` with the reason, oldest first. Returns the value that was replaced.
    ///
    /// A value heavier than the whole byte limit is not kept: it goes to `on_evict` as [`Eviction::TooLarge`], every other
    /// entry stays, and an older value under the key is taken out (it is stale) and returned.
    pub fn insert(&mut self, key: K, value: V, bytes: u64, mut on_evict: impl FnMut(K, V, Eviction)) -> Option<V> {
        if bytes > self.limits.max_bytes() {
            let stale = self.remove(&key);
            on_evict(key, value, Eviction::TooLarge);
            return stale;
        }
        if let Some(slot) = self.slot_of(&key) {
            self.touch(slot);
            let held = &mut self.slots[slot as usize];
            let replaced = held.entry.replace((key, value)).map(|(_, old)| old);
            // Weightless until there is room: so the loop stops before it comes to this entry, the newest, and the sum is
            // right at every call of `on_evict`.
            self.bytes -= core::mem::take(&mut held.bytes);
            self.make_room(bytes, &mut on_evict);
            self.slots[slot as usize].bytes = bytes;
            self.bytes += bytes;
            return replaced;
        }
        if self.len() >= self.limits.max_items().min(MAX_SLOTS) {
            self.evict_oldest(Eviction::Items, &mut on_evict);
        }
        self.make_room(bytes, &mut on_evict);
        self.add(key, value, bytes);
        None
    }

    /// Takes the entry under the key out.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let slots = &self.slots;
        let found = self
            .table
            .find_entry(self.hasher.hash_one(key), |&slot| key_of(slots, slot).borrow() == key);
        let (slot, _) = found.ok()?.remove();
        Some(self.release(slot).1)
    }

    /// Takes the entry out that was used longest ago.
    pub fn remove_oldest(&mut self) -> Option<(K, V)> {
        let oldest = self.slots[HEAD as usize].newer;
        if oldest == HEAD {
            return None;
        }
        let hash = self.hasher.hash_one(key_of(&self.slots, oldest));
        if let Ok(found) = self.table.find_entry(hash, |&slot| slot == oldest) {
            found.remove();
        }
        Some(self.release(oldest))
    }

    /// Takes every entry out. The memory of the slots is kept for those to come.
    pub fn clear(&mut self) {
        self.slots.truncate(1);
        self.slots[HEAD as usize].newer = HEAD;
        self.slots[HEAD as usize].older = HEAD;
        self.free = HEAD;
        self.table.clear();
        self.bytes = 0;
    }

    /// The entries from the newest to the oldest. Not a use.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter {
            slots: &self.slots,
            at: self.slots[HEAD as usize].older,
            left: self.len(),
        }
    }

    fn slot_of<Q>(&self, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        self.table
            .find(hash, |&slot| key_of(&self.slots, slot).borrow() == key)
            .copied()
    }

    fn value(&self, slot: u32) -> Option<&V> {
        self.slots[slot as usize].entry.as_ref().map(|(_, value)| value)
    }

    /// Evicts until `bytes` more fit.
    fn make_room(&mut self, bytes: u64, on_evict: &mut impl FnMut(K, V, Eviction)) {
        // Written as a difference: the sum could overflow when there is no byte limit.
        while bytes > self.limits.max_bytes() - self.bytes {
            self.evict_oldest(Eviction::Bytes, on_evict);
        }
    }

    fn evict_oldest(&mut self, why: Eviction, on_evict: &mut impl FnMut(K, V, Eviction)) {
        let (key, value) = self
            .remove_oldest()
            .expect("a limit of at least one item or byte is never passed by an empty cache");
        on_evict(key, value, why);
    }

    fn add(&mut self, key: K, value: V, bytes: u64) {
        let slot = match self.free {
            HEAD => {
                self.slots.push(Slot {
                    newer: HEAD,
                    older: HEAD,
                    bytes: 0,
                    entry: None,
                });
                u32::try_from(self.slots.len() - 1).expect("entries are evicted at MAX_SLOTS, which fits")
            }
            free => {
                self.free = self.slots[free as usize].older;
                free
            }
        };
        let hash = self.hasher.hash_one(&key);
        self.slots[slot as usize].bytes = bytes;
        self.slots[slot as usize].entry = Some((key, value));
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table
            .insert_unique(hash, slot, |&slot| hasher.hash_one(key_of(slots, slot)));
        self.link_newest(slot);
        self.bytes += bytes;
    }

    /// Frees a slot that is no longer in the table.
    fn release(&mut self, slot: u32) -> (K, V) {
        self.unlink(slot);
        let held = &mut self.slots[slot as usize];
        let entry = held.entry.take().expect("only slots with an entry are in the table");
        self.bytes -= core::mem::take(&mut held.bytes);
        held.older = self.free;
        self.free = slot;
        entry
    }

    fn touch(&mut self, slot: u32) {
        if self.slots[HEAD as usize].older != slot {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { newer, older, .. } = self.slots[slot as usize];
        self.slots[newer as usize].older = older;
        self.slots[older as usize].newer = newer;
    }

    fn link_newest(&mut self, slot: u32) {
        let second = core::mem::replace(&mut self.slots[HEAD as usize].older, slot);
        self.slots[second as usize].newer = slot;
        self.slots[slot as usize].newer = HEAD;
        self.slots[slot as usize].older = second;
    }
}

fn key_of<K, V>(slots: &[Slot<K, V>], slot: u32) -> &K {
    let entry = slots[slot as usize].entry.as_ref();
    &entry.expect("only slots with an entry are in the table").0
}

impl<K: fmt::Debug + Hash + Eq, V: fmt::Debug, S: BuildHasher> fmt::Debug for LruCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a, K: Hash + Eq, V, S: BuildHasher> IntoIterator for &'a LruCache<K, V, S> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

/// The entries of a cache from the newest to the oldest.
pub struct Iter<'a, K, V> {
    slots: &'a [Slot<K, V>],
    at: u32,
    left: usize,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots,
            at: self.at,
            left: self.left,
        }
    }
}

impl<K, V> fmt::Debug for Iter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        // The head has no entry: reaching it ends the walk.
        let slot = &self.slots[self.at as usize];
        let (key, value) = slot.entry.as_ref()?;
        self.at = slot.older;
        self.left -= 1;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}
impl<K, V> core::iter::FusedIterator for Iter<'_, K, V> {}
