//! A stack that gives back its memory as it is emptied.

use alloc::vec::Vec;
use core::mem;

/// Items in a piece, 4 KiB. Small, because glibc's allocator tidies up after all that was freed lately when it gets back 64 KiB
/// at once: ten milliseconds, at the end of a long step.
const PIECE_ITEMS: usize = 1_024;

/// Items in pieces, of which the first stays: a short step allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Stack<T> {
    top: Vec<T>,
    /// The pieces below, all full.
    below: Vec<Vec<T>>,
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self {
            top: Vec::new(),
            below: Vec::new(),
        }
    }
}

impl<T> Stack<T> {
    pub(super) fn len(&self) -> usize {
        self.below.len() * PIECE_ITEMS + self.top.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        let piece = self.below.get(at / PIECE_ITEMS).unwrap_or(&self.top);
        (at < self.len()).then(|| &piece[at % PIECE_ITEMS])
    }

    pub(super) fn push(&mut self, item: T) {
        if self.top.len() == PIECE_ITEMS {
            let next = Vec::with_capacity(PIECE_ITEMS);
            self.below.push(mem::replace(&mut self.top, next));
        }
        self.top.push(item);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        if self.top.is_empty()
            && let Some(below) = self.below.pop()
        {
            self.top = below;
        }
        self.top.pop()
    }

    pub(super) fn clear(&mut self) {
        if let Some(first) = self.below.drain(..).next() {
            self.top = first;
        }
        self.top.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_list_and_keeps_one_piece() {
        let (mut stack, mut model) = (Stack::default(), Vec::new());
        for round in 0..6_u32 {
            for item in 0..PIECE_ITEMS as u32 * round {
                stack.push(item);
                model.push(item);
            }
            for _ in 0..PIECE_ITEMS * round as usize / 2 {
                assert_eq!(stack.pop(), model.pop());
            }
            assert_eq!(stack.len(), model.len());
            let all: Vec<_> = (0..).map_while(|at| stack.get(at).copied()).collect();
            assert_eq!(all, model);
            if round % 2 == 0 {
                stack.clear();
                model.clear();
                assert!(stack.below.is_empty() && stack.pop().is_none());
                assert!(stack.top.capacity() <= PIECE_ITEMS);
            }
        }
    }
}
