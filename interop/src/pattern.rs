//! The bytes that are sent: each follows from its place, so that none can be lost, doubled or swapped unnoticed. The same as in
//! `pattern.ts`.

/// The bytes from `start` on, as many as `buffer` has room for.
pub(crate) fn fill(start: usize, buffer: &mut [u8]) {
    for (offset, byte) in buffer.iter_mut().enumerate() {
        *byte = at(start + offset);
    }
}

/// Where bytes that begin at `start` are not as they should be.
pub(crate) fn flaw(start: usize, bytes: &[u8]) -> Option<usize> {
    let places = start..;
    places
        .zip(bytes)
        .find(|(place, byte)| at(*place) != **byte)
        .map(|(place, _)| place)
}

fn at(place: usize) -> u8 {
    // 2³² divided by the golden ratio: the upper bits of its multiples are as unlike each other as can be.
    ((place as u32).wrapping_mul(0x9e37_79b1) >> 24) as u8
}
