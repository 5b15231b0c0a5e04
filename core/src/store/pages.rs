//! A slab that grows without moving what it holds, and gives back what it no longer needs.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

/// Items in a page. Growing adds a page: no step ever copies the whole slab, and at most one page was never used.
const PAGE_ITEMS: usize = 256;

/// Items by number. Numbers of removed items are used again, and a page without items takes no memory but its heading.
#[derive(Clone, Debug)]
pub(super) struct Pages<T> {
    pages: Vec<Page<T>>,
    /// The pages with room, each once. The last is filled first: it was touched last. While nothing is removed, items are numbered
    /// from 0 without holes.
    open: Vec<u32>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page<T> {
    items: Vec<Option<T>>,
    /// One bit for each place: set when nothing stands there.
    vacant: [u64; PAGE_ITEMS / 64],
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            open: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Pages<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, item: T) -> u32 {
        let at = self.open.last().copied().unwrap_or_else(|| {
            let at = u32::try_from(self.pages.len()).expect(FITS);
            self.pages.push(Page::new());
            self.open.push(at);
            at
        });
        let page = &mut self.pages[at as usize];
        let place = page.insert(item);
        if page.is_full() {
            self.open.pop();
        }
        self.len += 1;
        at.checked_mul(PAGE_ITEMS as u32).expect(FITS) + place as u32
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let (page, place) = split(at);
        self.pages.get_mut(page)?.items.get_mut(place)?.as_mut()
    }

    pub(super) fn remove(&mut self, at: u32) -> T {
        let (at, place) = split(at);
        let page = &mut self.pages[at];
        if page.is_full() {
            self.open.push(at as u32);
        }
        let item = page.remove(place);
        self.len -= 1;
        if self.len == 0 {
            *self = Self::default();
        }
        item
    }
}

impl<T> Page<T> {
    const fn new() -> Self {
        Self {
            items: Vec::new(),
            vacant: [u64::MAX; PAGE_ITEMS / 64],
        }
    }

    fn is_full(&self) -> bool {
        self.vacant == [0; PAGE_ITEMS / 64]
    }

    /// Puts an item in the first vacant place.
    fn insert(&mut self, item: T) -> usize {
        let word = self
            .vacant
            .iter()
            .position(|word| *word != 0)
            .expect("an open page has room");
        let place = word * 64 + self.vacant[word].trailing_zeros() as usize;
        self.vacant[word] &= self.vacant[word] - 1;
        if self.items.capacity() == 0 {
            self.items.reserve_exact(PAGE_ITEMS);
        }
        if place == self.items.len() {
            self.items.push(Some(item));
        } else {
            self.items[place] = Some(item);
        }
        place
    }

    fn remove(&mut self, place: usize) -> T {
        let item = self.items[place].take().expect(OCCUPIED);
        self.vacant[place / 64] |= 1 << (place % 64);
        if self.vacant == [u64::MAX; PAGE_ITEMS / 64] {
            self.items = Vec::new();
        }
        item
    }
}

impl<T> Index<u32> for Pages<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        let (page, place) = split(at);
        self.pages[page].items[place].as_ref().expect(OCCUPIED)
    }
}

impl<T> IndexMut<u32> for Pages<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        let (page, place) = split(at);
        self.pages[page].items[place].as_mut().expect(OCCUPIED)
    }
}

/// The page of an item, and its place there.
fn split(at: u32) -> (usize, usize) {
    (at as usize / PAGE_ITEMS, at as usize % PAGE_ITEMS)
}

const OCCUPIED: &str = "the indexes hold numbers of present items only";
const FITS: &str = "four billion items do not fit any memory this runs in";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// Pages that hold memory are those that hold items.
    fn check(pages: &Pages<u64>) {
        for page in &pages.pages {
            assert_eq!(page.items.capacity() > 0, page.items.iter().any(Option::is_some));
        }
    }

    #[test]
    fn behaves_like_a_map_and_keeps_no_empty_page() {
        let (mut pages, mut model) = (Pages::default(), BTreeMap::new());
        let mut state = 7_u64;
        for step in 0..20_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Grows to about two thousand items, then shrinks to none, twice.
            let grows = (state >> 33) % 10 < if step % 10_000 < 5_000 { 7 } else { 3 };
            let some = model.range((state >> 40) as u32 % 4_000..).next();
            if let Some((at, item)) = some.filter(|_| !grows).map(|(at, item)| (*at, *item)) {
                assert_eq!(pages[at], item);
                assert_eq!(pages.remove(at), item);
                model.remove(&at);
                assert_eq!(pages.get_mut(at), None);
            } else if grows {
                let at = pages.insert(step);
                assert_eq!(model.insert(at, step), None, "the place was vacant");
            }
            check(&pages);
        }
        assert!(model.len() > 100);
        for (at, item) in model {
            assert_eq!(pages.remove(at), item);
            check(&pages);
        }
        assert!(pages.pages.capacity() == 0 && pages.open.capacity() == 0);
    }
}
