//! How much a cache may hold.

use core::fmt;

/// The limits of a cache, at least one of them. Made by [`Limits::new`], so they cannot be zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    max_items: usize,
    max_bytes: u64,
}

impl Limits {
    /// The byte limit of [`Limits::default`]: what breaks a browser tab is bytes, and 64 MiB is little beside what a tab may
    /// use even on a telephone.
    pub const DEFAULT_MAX_BYTES: u64 = 64 * 1024 * 1024;

    /// No limit: for whoever takes entries out by itself.
    pub const NONE: Self = Self {
        max_items: usize::MAX,
        max_bytes: u64::MAX,
    };

    /// The limits given, `None` for no limit of that kind; [`Limits::default`] when neither is given.
    pub const fn new(max_items: Option<usize>, max_bytes: Option<u64>) -> Result<Self, LimitError> {
        let (max_items, max_bytes) = match (max_items, max_bytes) {
            (Some(0), _) => return Err(LimitError::ZeroItems),
            (_, Some(0)) => return Err(LimitError::ZeroBytes),
            (None, None) => (usize::MAX, Self::DEFAULT_MAX_BYTES),
            (Some(items), None) => (items, u64::MAX),
            (None, Some(bytes)) => (usize::MAX, bytes),
            (Some(items), Some(bytes)) => (items, bytes),
        };
        Ok(Self { max_items, max_bytes })
    }

    /// How many entries fit; `usize::MAX` without a limit.
    pub const fn max_items(&self) -> usize {
        self.max_items
    }

    /// How many bytes the entries may weigh together; `u64::MAX` without a limit.
    pub const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_items: usize::MAX,
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }
}

/// Why limits were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitError {
    /// No entry would fit.
    ZeroItems,
    /// No byte would fit.
    ZeroBytes,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroItems => "a cache of 0 items holds nothing: give at least 1, or none for no limit on items",
            Self::ZeroBytes => "a cache of 0 bytes holds nothing: give at least 1, or none for no limit on bytes",
        })
    }
}

impl core::error::Error for LimitError {}
