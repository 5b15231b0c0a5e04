//! The store as a session sees it.

use crate::{
    causality::{Dots, Fork, Frontier, Key, VersionVector},
    id::{AuthorId, Dot},
    store::Store,
    sync::Source,
    wire::{Leaf, LiveEvent},
};

impl Source for Store {
    fn vector(&self) -> &VersionVector {
        Self::vector(self)
    }

    fn frontier(&self) -> &Frontier {
        Self::frontier(self)
    }

    fn forks(&self) -> impl Iterator<Item = &Fork> {
        Self::forks(self)
    }

    fn live(&self, author: AuthorId, after: u64, upto: u64) -> impl Iterator<Item = LiveEvent<'_>> {
        Self::live(self, author, after, upto).map(|entry| LiveEvent {
            dot: entry.dot,
            key: entry.key,
            body: entry.body,
            kind: entry.kind,
            hlc: entry.hlc,
            removes: entry.removes,
        })
    }

    fn record(&self, dot: &Dot) -> Option<Dots> {
        Self::record(self, dot)
    }

    fn block_dots(&self) -> u64 {
        Self::block_dots(self)
    }

    fn leaves(&self) -> impl Iterator<Item = Leaf> {
        self.blocks(None)
            .map(|(author, block, live)| Leaf { author, block, live })
    }

    fn key_of(&self, dot: &Dot) -> Option<Key> {
        Self::key_of(self, dot).cloned()
    }
}
