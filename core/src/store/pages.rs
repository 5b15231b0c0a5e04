//! A slab that grows without moving what it holds.

use alloc::{vec, vec::Vec};
use core::ops::{Index, IndexMut};

/// Items in a page. Growing adds a page: no step ever copies the whole slab, and at most one page is unused.
const PAGE_ITEMS: usize = 1024;

/// Items by number. Numbers of removed items are used again.
#[derive(Clone, Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
    len: u32,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            pages: vec![],
            free: vec![],
            len: 0,
        }
    }
}

impl<T> Pages<T> {
    pub(super) fn insert(&mut self, item: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self.pages[at as usize / PAGE_ITEMS][at as usize % PAGE_ITEMS] = Some(item);
            return at;
        }
        let at = self.len;
        self.len = at
            .checked_add(1)
            .expect("four billion items do not fit any memory this runs in");
        if (at as usize).is_multiple_of(PAGE_ITEMS) {
            self.pages.push(Vec::with_capacity(PAGE_ITEMS));
        }
        self.pages[at as usize / PAGE_ITEMS].push(Some(item));
        at
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.pages[at as usize / PAGE_ITEMS][at as usize % PAGE_ITEMS].as_mut()
    }

    pub(super) fn remove(&mut self, at: u32) -> T {
        self.free.push(at);
        self.pages[at as usize / PAGE_ITEMS][at as usize % PAGE_ITEMS]
            .take()
            .expect(OCCUPIED)
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        self.pages[at as usize / PAGE_ITEMS][at as usize % PAGE_ITEMS]
            .as_ref()
            .expect(OCCUPIED)
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        self.pages[at as usize / PAGE_ITEMS][at as usize % PAGE_ITEMS]
            .as_mut()
            .expect(OCCUPIED)
    }
}

const OCCUPIED: &str = "the indexes hold numbers of present items only";
