//! A script read from arbitrary bytes.

/// Bytes read one after the other. Past the end there are zeros, so that every script is a whole one and a change in one place leaves
/// the meaning of what stands before it as it was.
#[derive(Clone, Debug)]
pub struct Tape<'a> {
    rest: &'a [u8],
}

impl<'a> Tape<'a> {
    /// Begins to read.
    pub fn new(script: &'a [u8]) -> Self {
        Self { rest: script }
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        *byte
    }

    /// A number below `end`, from one byte.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Two bytes, the low one first.
    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A number of any size: how many low bits it has, then what they are, so that both small numbers and the edges are frequent.
    pub fn number(&mut self) -> u64 {
        let bits = self.below(65) as u32;
        let number = u64::from_le_bytes([(); 8].map(|()| self.byte()));
        number & u64::MAX.checked_shr(64 - bits).unwrap_or(0)
    }

    /// As many bytes as the two before them say, or all that are left.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.short()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }
}

/// Writes what [`Tape::bytes`] reads.
pub fn write_bytes(bytes: &[u8], script: &mut Vec<u8>) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    script.extend_from_slice(&length.to_le_bytes());
    script.extend_from_slice(&bytes[..usize::from(length)]);
}
