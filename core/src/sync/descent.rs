//! A descent: how two replicas find where two large sets differ without sending either.
//!
//! Both hold a trie of fixed radix over the same kind of keys: authors with their counts (to learn a vector), or blocks with
//! their live dots (to learn what was removed when nobody remembers by which event). The *holder* tells a node's children by
//! fingerprints; the *asker* compares them with its own and chooses those that differ, level by level, until what is left is told
//! in full. Nodes are never named: both remember which were told last, so a choice takes two bytes a node.
//!
//! A fingerprint is eight bytes of BLAKE3 under a salt drawn for the descent, so that nobody can prepare two sets that look equal.
//!
//! Tries are made for one session and dropped with it: a store of a million keys in a row has 3,906 blocks, which are hashed in
//! less than a millisecond, so keeping hashes up to date at every write would cost more than it saves.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};

use super::{SessionError, Source};
use crate::{
    causality::{VersionVector, print_of},
    id::AuthorId,
    wire::{
        AuthorTable, Bits, INNER_BYTES_MAX, Item, LiveItem, Node, NodeReader, Prefix, RADIX, Share, choices,
        write_choice, write_inner, write_leaf,
    },
};

/// Something that stands in a trie.
pub(super) trait Leaved: Item + Clone + PartialEq {
    /// Up to so many bytes a node is told in full rather than by its children. About what the children's fingerprints would take,
    /// or more where round trips count for more than bytes.
    const LEAF_BYTES_MAX: usize;
    /// The longest item, which is told in full alone.
    const ITEM_BYTES_MAX: usize;
    /// Appends what is hashed.
    fn hashed(&self, out: &mut Vec<u8>);
}

impl Leaved for u64 {
    // A vector of some fifty authors is told in one round trip.
    const LEAF_BYTES_MAX: usize = 1_024;
    const ITEM_BYTES_MAX: usize = 26;

    fn hashed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
}

impl Leaved for LiveItem {
    const LEAF_BYTES_MAX: usize = 128;
    const ITEM_BYTES_MAX: usize = Self::BYTES_MAX;

    fn hashed(&self, out: &mut Vec<u8>) {
        let words = match self {
            Self::Dots(bits) => &bits[..],
            Self::Prints(prints) => prints,
        };
        words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }
}

/// Items by key, in order, with the salt of their fingerprints.
#[derive(Clone, Debug)]
pub(super) struct Trie<I> {
    salt: u64,
    items: Vec<(u128, I)>,
}

impl Trie<u64> {
    /// The trie of a vector.
    pub(super) fn of_vector(salt: u64, vector: &VersionVector) -> Self {
        let items = vector.iter().map(|(author, n)| (u128::from_be_bytes(author.0), n));
        Self {
            salt,
            items: items.collect(),
        }
    }
}

/// So many bytes are hashed at once: BLAKE3 is several times as fast with many as with a few.
const HASHED_BYTES: usize = 4_096;

/// An author's key in the trie of a vector, reversed.
pub(super) fn author_of(key: u128) -> AuthorId {
    AuthorId(key.to_be_bytes())
}

/// The bits of a key in the trie of live dots that tell the block. A dot's number is at most 2^52, so a block of 256 at most 2^44.
const BLOCK_BITS: u32 = 44;

impl Trie<LiveItem> {
    /// The trie of the live dots that `seen` covers, in each author up to the limit that `limits` names, with the prints of a share of their
    /// blocks. `authors` holds the authors of `seen` in order.
    pub(super) fn of_leaves(
        (salt, share): (u64, Share),
        source: &impl Source,
        authors: &AuthorTable,
        seen: &VersionVector,
        limits: &BTreeMap<AuthorId, u64>,
    ) -> Self {
        let mut items = Vec::new();
        let mut last = None;
        // Whoever has made two events under one dot is looked at in any case.
        let forked: BTreeSet<AuthorId> = source.forks().map(|fork| fork.dot.author).collect();
        let mut left = if share == Share::default() {
            0
        } else {
            FORKED_PRINTS_MAX
        };
        for leaf in source.leaves() {
            // Leaves of one author come together.
            let (number, upto) = match last {
                Some((author, place)) if author == leaf.author => place,
                _ => {
                    let upto = seen.get(&leaf.author);
                    let upto = limits.get(&leaf.author).map_or(upto, |limit| upto.min(*limit));
                    let place = (authors.number(&leaf.author).unwrap_or(0), upto);
                    last = Some((leaf.author, place));
                    place
                }
            };
            let live = masked(&leaf.live, leaf.block, source.block_dots(), upto);
            if live != Bits::default() {
                let half = u128::from(number) << BLOCK_BITS | u128::from(leaf.block);
                items.push((half << 1, LiveItem::Dots(live)));
                let is_suspect = left > 0 && forked.contains(&leaf.author);
                if is_suspect || is_chosen(share, salt, half) {
                    let first = leaf.block * source.block_dots();
                    let events = source.live(leaf.author, first, upto.min(first + source.block_dots()));
                    let prints =
                        events.map(|event| print_of(event.hlc, event.key, event.body, event.kind, &event.removes));
                    let prints: Vec<u64> = prints.collect();
                    left = left.saturating_sub(if is_suspect { prints.len() } else { 0 });
                    items.push((half << 1 | 1, LiveItem::Prints(prints)));
                }
            }
        }
        items.sort_unstable_by_key(|(key, _)| *key);
        Self { salt, items }
    }
}

/// Of how many live events of authors with forks prints are compared, beside those of the share.
const FORKED_PRINTS_MAX: usize = 4 * 1024;

/// Author and block of a key in the trie of live dots.
pub(super) fn block_of(key: u128, authors: &AuthorTable) -> Option<(AuthorId, u64)> {
    let half = (key >> 1) as u64;
    let author = authors.author(half >> BLOCK_BITS)?;
    Some((author, half & ((1 << BLOCK_BITS) - 1)))
}

/// Whether a block is of the share of which prints are compared. Another part is with each salt, so that in time all are.
fn is_chosen(share: Share, salt: u64, half_key: u128) -> bool {
    match share.0 {
        0 => false,
        1 => true,
        share => {
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&salt.to_le_bytes());
            bytes[8..].copy_from_slice(&half_key.to_le_bytes());
            let hash = blake3::hash(&bytes);
            let drawn = hash.as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes);
            drawn.trailing_zeros() >= u32::from(share - 1)
        }
    }
}

/// The bits of a block of so many dots that belong to dots up to `upto`.
pub(crate) fn masked(bits: &Bits, block: u64, block_dots: u64, upto: u64) -> Bits {
    let count = upto.saturating_sub(block * block_dots);
    let mut masked = *bits;
    for (word, first) in masked.iter_mut().zip((0..).step_by(64)) {
        let count = count.saturating_sub(first);
        if count < 64 {
            *word &= (1 << count) - 1;
        }
    }
    masked
}

impl<I: Leaved> Trie<I> {
    fn below(&self, prefix: &Prefix) -> &[(u128, I)] {
        below(&self.items, prefix)
    }

    fn fingerprint(&self, items: &[(u128, I)]) -> u64 {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::with_capacity(HASHED_BYTES.min(8 + size_of_val(items)));
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        for (key, item) in items {
            if bytes.len() + size_of::<u128>() + I::ITEM_BYTES_MAX > HASHED_BYTES {
                hasher.update(&bytes);
                bytes.clear();
            }
            bytes.extend_from_slice(&key.to_le_bytes());
            item.hashed(&mut bytes);
        }
        hasher.update(&bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    /// Appends the node below a prefix. Gives, of an inner node, its own prefix and which children there are.
    fn tell(&self, asked: &Prefix, out: &mut Vec<u8>) -> Option<(Prefix, u16)> {
        let items = self.below(asked);
        let [(first, _), .., (last, _)] = items else {
            write_leaf(items, out);
            return None;
        };
        let start = out.len();
        // Every item takes two bytes at least.
        if items.len() <= I::LEAF_BYTES_MAX / 2 {
            write_leaf(items, out);
            if out.len() - start <= I::LEAF_BYTES_MAX {
                return None;
            }
            out.truncate(start);
        }
        let prefix = Prefix::common(*first, *last);
        let (mut children, mut present) = ([None; RADIX], 0);
        for (child, place) in children.iter_mut().enumerate() {
            let below = prefix
                .child(child)
                .map(|child| below(items, &child))
                .unwrap_or_default();
            if !below.is_empty() {
                *place = Some(self.fingerprint(below));
                present |= 1 << child;
            }
        }
        write_inner(asked, &prefix, &children, out);
        Some((prefix, present))
    }
}

fn below<'a, I>(items: &'a [(u128, I)], prefix: &Prefix) -> &'a [(u128, I)] {
    let keys = prefix.keys();
    let first = items.partition_point(|(key, _)| key < keys.start());
    let count = items[first..].partition_point(|(key, _)| key <= keys.end());
    &items[first..first + count]
}

/// The end that tells nodes.
#[derive(Clone, Debug)]
pub(super) struct Holder<I> {
    trie: Trie<I>,
    /// What is still to be told of this level.
    asked: VecDeque<Prefix>,
    /// The inner nodes told of this level, with their children.
    told: Vec<(Prefix, u16)>,
    /// The choices among them so far.
    chosen: usize,
    next: VecDeque<Prefix>,
}

impl<I: Leaved> Holder<I> {
    /// Begins with the root to tell.
    pub(super) fn new(trie: Trie<I>) -> Self {
        Self {
            trie,
            asked: [Prefix::default()].into(),
            told: Vec::new(),
            chosen: 0,
            next: VecDeque::new(),
        }
    }

    /// Appends nodes that are asked for, up to about `bytes_max` bytes. Returns whether more are to come; `None` if none are asked for.
    pub(super) fn tell(&mut self, bytes_max: usize, out: &mut Vec<u8>) -> Option<bool> {
        if self.asked.is_empty() {
            return None;
        }
        let node_bytes_max = INNER_BYTES_MAX.max(I::LEAF_BYTES_MAX).max(1 + I::ITEM_BYTES_MAX);
        while let Some(asked) = self.asked.pop_front() {
            self.told.extend(self.trie.tell(&asked, out));
            if out.len() + node_bytes_max > bytes_max {
                break;
            }
        }
        Some(!self.asked.is_empty())
    }

    /// Takes choices among the inner nodes told; `more` follow. Returns whether the descent is over, nothing being chosen.
    pub(super) fn choose(&mut self, bytes: &[u8], more: bool) -> Result<bool, SessionError> {
        if !self.asked.is_empty() {
            return Err(SessionError::OutOfPlace("choice before all was told"));
        }
        for choice in choices(bytes) {
            let (prefix, present) = self
                .told
                .get(self.chosen)
                .ok_or(SessionError::OutOfPlace("choice among no node"))?;
            if choice & !present != 0 {
                return Err(SessionError::OutOfPlace("choice of no child"));
            }
            let chosen = (0..RADIX).filter(|child| choice >> child & 1 == 1);
            self.next.extend(chosen.filter_map(|child| prefix.child(child)));
            self.chosen += 1;
        }
        if more {
            return Ok(false);
        }
        let over = self.next.is_empty();
        // None at all stand for none of any.
        if self.chosen != self.told.len() && !(over && self.chosen == 0) {
            return Err(SessionError::OutOfPlace("choices left out"));
        }
        self.asked = core::mem::take(&mut self.next);
        self.told.clear();
        self.chosen = 0;
        Ok(over)
    }
}

/// The end that compares.
#[derive(Clone, Debug)]
pub(super) struct Asker<I> {
    trie: Trie<I>,
    /// What is awaited of this level.
    asked: VecDeque<Prefix>,
    next: VecDeque<Prefix>,
    choices: Vec<u16>,
    /// Whether what is unknown here is asked for.
    unknown: bool,
    /// How many nodes may still be asked for, so that an endless trie ends.
    left: usize,
    /// What differs: the holder's item, or none where it has none.
    found: Vec<(u128, Option<I>)>,
}

/// What an asker does next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Waits for more nodes.
    Await,
    /// Sends these choices: the payloads of one or more frames.
    Choose(Vec<Vec<u8>>),
    /// Nothing: all differences are found.
    Done,
}

impl<I: Leaved> Asker<I> {
    /// Begins by awaiting the root. With `unknown`, keys that are not in `trie` are found as well; at most `nodes_max` nodes are
    /// asked for.
    pub(super) fn new(trie: Trie<I>, unknown: bool, nodes_max: usize) -> Self {
        Self {
            trie,
            asked: [Prefix::default()].into(),
            next: VecDeque::new(),
            choices: Vec::new(),
            unknown,
            left: nodes_max,
            found: Vec::new(),
        }
    }

    /// Takes nodes that were asked for; `more` follow.
    pub(super) fn take(
        &mut self,
        nodes: &mut NodeReader<'_>,
        more: bool,
        payload_bytes_max: usize,
    ) -> Result<Next, SessionError> {
        while !nodes.is_empty() {
            let asked = self
                .asked
                .pop_front()
                .ok_or(SessionError::OutOfPlace("node not asked for"))?;
            match nodes.node(&asked)? {
                Node::Leaf(items) => self.leaf(&asked, &items)?,
                Node::Inner { prefix, children } => self.inner(&asked, &prefix, &children)?,
            }
        }
        if more {
            return Ok(Next::Await);
        }
        if !self.asked.is_empty() {
            return Err(SessionError::OutOfPlace("nodes left out"));
        }
        if self.next.is_empty() {
            return Ok(Next::Done);
        }
        self.asked = core::mem::take(&mut self.next);
        let chunks = self.choices.chunks(payload_bytes_max / 2).map(|chunk| {
            let mut payload = Vec::with_capacity(2 * chunk.len());
            chunk.iter().for_each(|choice| write_choice(*choice, &mut payload));
            payload
        });
        let payloads = chunks.collect();
        self.choices.clear();
        Ok(Next::Choose(payloads))
    }

    /// What the asker had under a key when it began.
    pub(super) fn own(&self, key: u128) -> Option<&I> {
        let at = self.trie.items.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(&self.trie.items[at].1)
    }

    /// What differs, when all is done.
    pub(super) fn found(&mut self) -> Vec<(u128, Option<I>)> {
        core::mem::take(&mut self.found)
    }

    fn leaf(&mut self, asked: &Prefix, theirs: &[(u128, I)]) -> Result<(), SessionError> {
        let mut ours = below(&self.trie.items, asked).iter().peekable();
        for (key, item) in theirs {
            while let Some((absent, _)) = ours.next_if(|(our, _)| our < key) {
                self.found.push((*absent, None));
            }
            match ours.next_if(|(our, _)| our == key) {
                Some((_, our)) if our == item => {}
                None if !self.unknown => {}
                _ => {
                    self.left = self
                        .left
                        .checked_sub(1)
                        .ok_or(SessionError::OutOfPlace("trie without end"))?;
                    self.found.push((*key, Some(item.clone())));
                }
            }
        }
        self.found.extend(ours.map(|(absent, _)| (*absent, None)));
        Ok(())
    }

    fn inner(&mut self, asked: &Prefix, prefix: &Prefix, children: &[Option<u64>; RADIX]) -> Result<(), SessionError> {
        let ours = below(&self.trie.items, asked);
        let elsewhere = ours.iter().filter(|(key, _)| !prefix.keys().contains(key));
        self.found.extend(elsewhere.map(|(absent, _)| (*absent, None)));
        let mut choice = 0;
        for (child, theirs) in children.iter().enumerate() {
            let Some(prefix) = prefix.child(child) else { continue };
            let ours = below(ours, &prefix);
            let Some(theirs) = theirs else {
                self.found.extend(ours.iter().map(|(absent, _)| (*absent, None)));
                continue;
            };
            let ask = if ours.is_empty() {
                self.unknown
            } else {
                self.trie.fingerprint(ours) != *theirs
            };
            if ask {
                choice |= 1 << child;
                self.left = self
                    .left
                    .checked_sub(1)
                    .ok_or(SessionError::OutOfPlace("trie without end"))?;
                self.next.push_back(prefix);
            }
        }
        self.choices.push(choice);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    const SALT: u64 = 7;

    /// Lets two tries find their differences. Gives them, the bytes that crossed and the round trips.
    fn descend<I: Leaved>(holder: Trie<I>, asker: Trie<I>, unknown: bool) -> (Vec<(u128, Option<I>)>, usize, usize) {
        let (mut holder, mut asker) = (Holder::new(holder), Asker::new(asker, unknown, 1 << 20));
        let (mut bytes, mut rounds) = (0, 0);
        loop {
            rounds += 1;
            let next = loop {
                let mut out = Vec::new();
                let more = holder.tell(2_000, &mut out).expect("something was asked for");
                bytes += out.len();
                let next = asker.take(&mut NodeReader::new(&out), more, 30).expect("well formed");
                if !more {
                    break next;
                }
                assert_eq!(next, Next::Await);
            };
            match next {
                Next::Await => panic!("all was told"),
                Next::Done => return (asker.found(), bytes, rounds),
                Next::Choose(payloads) => {
                    let last = payloads.len() - 1;
                    for (at, payload) in payloads.iter().enumerate() {
                        bytes += payload.len();
                        assert_eq!(holder.choose(payload, at < last), Ok(false));
                    }
                }
            }
        }
    }

    fn walk(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *state >> 20
    }

    #[test]
    fn vectors_are_learnt_by_their_differences() {
        let mut state = 3;
        for (count, differing) in [(0, 0), (0, 1), (1, 0), (40, 3), (2_000, 0), (2_000, 5), (2_000, 900)] {
            let author = |state: &mut u64| u128::from(walk(state)) << 64 | u128::from(walk(state));
            let ours: BTreeMap<u128, u64> = (0..count).map(|n| (author(&mut state), n + 1)).collect();
            let mut theirs = ours.clone();
            for at in 0..differing {
                match (
                    at % 3,
                    theirs.keys().nth((walk(&mut state) % (count + 1)) as usize).copied(),
                ) {
                    (0, Some(key)) => drop(theirs.insert(key, 1 << 30)),
                    (1, Some(key)) => drop(theirs.remove(&key)),
                    _ => drop(theirs.insert(author(&mut state), 9)),
                }
            }
            let trie = |map: &BTreeMap<u128, u64>| Trie {
                salt: SALT,
                items: map.iter().map(|(key, n)| (*key, *n)).collect(),
            };
            let (found, bytes, rounds) = descend(trie(&theirs), trie(&ours), true);
            let mut learnt = ours.clone();
            for (key, item) in found {
                match item {
                    Some(n) => drop(learnt.insert(key, n)),
                    None => drop(learnt.remove(&key)),
                }
            }
            assert_eq!(learnt, theirs);
            assert!(rounds <= 4, "{rounds} rounds");
            if differing == 0 {
                assert!(bytes < 1_100, "{bytes} bytes for equal vectors of {count}");
            }
        }
    }

    #[test]
    fn removed_dots_are_found_and_nothing_else() {
        let mut state = 5;
        let blocks: Vec<(u128, Bits)> = (0..5_000_u128)
            .map(|block| (block, core::array::from_fn(|_| walk(&mut state) | 1)))
            .collect();
        let (mut holder, mut asker) = (blocks.clone(), blocks);
        // Removed at the holder: of interest. Removed at the asker, or unknown to it: not.
        for at in [17, 1_800, 4_999] {
            holder[at].1[2] &= !1;
        }
        let gone = holder.remove(2_500).0;
        asker[77].1[0] &= !1;
        asker.remove(3_000);
        let trie = |items: &Vec<(u128, Bits)>| Trie {
            salt: SALT,
            items: items
                .iter()
                .map(|(block, bits)| (block << 1, LiveItem::Dots(*bits)))
                .collect(),
        };
        let (found, bytes, rounds) = descend(trie(&holder), trie(&asker), false);
        let found: Vec<_> = found.into_iter().map(|(key, item)| (key >> 1, item)).collect();
        let of = |key: u128, items: &[(u128, Bits)]| {
            let item = items.iter().find(|(other, _)| *other == key);
            item.map(|(_, bits)| LiveItem::Dots(*bits))
        };
        for (key, item) in &found {
            assert_eq!(*item, of(*key, &holder));
            assert!(of(*key, &asker).is_some());
        }
        let keys: Vec<u128> = found.iter().map(|(key, _)| *key).collect();
        assert!(
            [17, 1_800, 4_999, gone, 77].iter().all(|key| keys.contains(key)),
            "{keys:?}"
        );
        assert_eq!(keys.len(), 5);
        assert!(bytes < 4_000 && rounds <= 5, "{bytes} bytes, {rounds} rounds");
    }

    #[test]
    fn blocks_whose_prints_differ_are_told_with_them() {
        let prints = |at: u64| (0..256).map(|n| at << 8 | n).collect::<Vec<u64>>();
        let items = (0..300_u64).flat_map(|at| {
            let half = u128::from(at) << 1;
            [
                (half << 1, LiveItem::Dots([u64::MAX; 4])),
                (half << 1 | 1, LiveItem::Prints(prints(at))),
            ]
        });
        let items: Vec<(u128, LiveItem)> = items.collect();
        let mut other = items.clone();
        let LiveItem::Prints(forged) = &mut other[2 * 200 + 1].1 else {
            panic!("prints follow dots")
        };
        forged[9] ^= 1;
        let trie = |items: &[(u128, LiveItem)]| Trie {
            salt: SALT,
            items: items.to_vec(),
        };
        let (found, bytes, _) = descend(trie(&other), trie(&items), false);
        assert_eq!(found, [(200 << 2 | 1, Some(other[2 * 200 + 1].1.clone()))]);
        assert!(bytes < 4_000, "{bytes} bytes");
    }

    #[test]
    fn a_peer_that_does_not_keep_to_the_game_is_told_so() {
        let vector: VersionVector = (0..200_u8).map(|at| (AuthorId([at; 16]), 1)).collect();
        let trie = || Trie::of_vector(SALT, &vector);
        let mut holder = Holder::new(trie());
        assert!(holder.choose(&[1, 0], false).is_err(), "nothing was told yet");
        let mut told = Vec::new();
        assert_eq!(holder.tell(10_000, &mut told), Some(false));
        assert_eq!(holder.tell(10_000, &mut told), None);
        assert!(
            holder.clone().choose(&[1, 0, 1, 0], false).is_err(),
            "one node was told"
        );
        assert!(holder.clone().choose(&[0, 0x80], false).is_err(), "no author begins so");
        assert_eq!(holder.clone().choose(&[], false), Ok(true));
        assert_eq!(holder.choose(&[0, 0], false), Ok(true));

        let asker = |trie| Asker::new(trie, true, 3);
        let empty = Trie::of_vector(SALT, &VersionVector::new());
        let read = |asker: &mut Asker<u64>, bytes: &[u8], more| asker.take(&mut NodeReader::new(bytes), more, 100);
        assert!(
            read(&mut asker(empty.clone()), &told, false).is_err(),
            "more nodes than allowed"
        );
        assert!(read(&mut asker(trie()), &[], false).is_err(), "the root was left out");
        assert!(
            read(&mut asker(trie()), &[told.clone(), told.clone()].concat(), true).is_err(),
            "told twice"
        );
        assert_eq!(read(&mut asker(trie()), &told, false), Ok(Next::Done));
    }

    #[test]
    fn masks_end_at_the_dot() {
        let full = [u64::MAX; 4];
        assert_eq!(masked(&full, 0, 256, 0), [0; 4]);
        assert_eq!(masked(&full, 0, 256, 1), [1, 0, 0, 0]);
        assert_eq!(masked(&full, 1, 256, 256 + 70), [u64::MAX, 63, 0, 0]);
        assert_eq!(masked(&full, 1, 256, 512), full);
        assert_eq!(masked(&full, 1, 256, 200), [0; 4]);
    }
}
