//! An invitation: what a person sends to another so that both share a store, as text for the fragment of a link.
//!
//! ```text
//! text    = base64url without padding (RFC 4648, section 5) of: version (1 byte), varint length of content, content, sum (4 bytes)
//! content = secret (32 bytes), varint expiry in seconds since 1970 (0: never), varint length, name,
//!           varint count of relays, per relay varint length, address
//! sum     = the first bytes of SHA-256 of all before it
//! ```
//!
//! The sum finds what got lost on the way; it protects against nobody. Whoever reads an invitation is a member.

use alloc::{string::String, vec::Vec};
use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use super::secret::{SECRET_BYTES, Secret};
use crate::wire::{
    WireError,
    bytes::{Reader, Writer as _},
};

const VERSION: u8 = 1;

/// How long the name of a store is at most that can be invited to.
pub const NAME_BYTES_MAX: usize = 256;

/// How many relays an invitation names at most: as many as a node keeps in touch with.
pub const RELAYS_MAX: usize = 16;

/// How long the address of a relay is at most.
pub const RELAY_BYTES_MAX: usize = 512;

const SUM_BYTES: usize = 4;

/// How long an invitation can be, so that none is decoded that is longer.
const TEXT_CHARS_MAX: usize = (SECRET_BYTES + NAME_BYTES_MAX + RELAYS_MAX * (RELAY_BYTES_MAX + 2) + 32) * 4 / 3;

/// What an invitation says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// The store's name.
    pub name: String,
    /// What makes a member.
    pub secret: Secret,
    /// The relays where members meet.
    pub relays: Vec<String>,
    /// When it should not be followed any more, in seconds since 1970. Only those heed it who are asked to: it takes nothing away
    /// from who has the secret.
    pub expires: Option<u64>,
}

/// What is wrong with an invitation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvitationError {
    /// There is none.
    Empty,
    /// A character that no invitation has.
    Character {
        /// The character.
        found: char,
        /// Where it is, counted in characters from 1.
        at: usize,
    },
    /// The end is missing.
    Cut {
        /// How many characters are there.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// There is more than the invitation.
    Trailing {
        /// How many characters are there.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Characters were changed.
    Damaged,
    /// A version that this software does not know.
    Version(u8),
    /// It is whole, and says what no invitation can.
    Malformed(&'static str),
    /// It was good until then, in seconds since 1970.
    Expired(u64),
}

impl fmt::Display for InvitationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the invitation is empty; copy the whole link"),
            Self::Character { found, at } => write!(
                f,
                "the invitation has {found:?} as its character {at}, which no invitation has; copy the whole link, and nothing else"
            ),
            Self::Cut { found, expected } => write!(
                f,
                "the invitation is cut off: {found} of {expected} characters are there; copy the whole link"
            ),
            Self::Trailing { found, expected } => write!(
                f,
                "the invitation has {expected} characters, and {found} were given; copy the link, and nothing else"
            ),
            Self::Damaged => write!(
                f,
                "the invitation was changed on its way; copy the link again, or ask for another"
            ),
            Self::Version(version) => write!(
                f,
                "the invitation has version {version}, which this software does not know; update it"
            ),
            Self::Malformed(what) => write!(f, "the invitation {what}; ask for another"),
            Self::Expired(_) => write!(f, "the invitation has expired; ask for another"),
        }
    }
}

impl core::error::Error for InvitationError {}

impl Invitation {
    /// The invitation as text.
    ///
    /// # Errors
    /// [`InvitationError::Malformed`] when it says what no invitation can.
    pub fn encode(&self) -> Result<String, InvitationError> {
        check(&self.name, &self.relays)?;
        let mut content = Vec::from(*self.secret.bytes());
        content.varint(self.expires.unwrap_or(0));
        content.text(&self.name);
        content.varint(self.relays.len() as u64);
        for relay in &self.relays {
            content.text(relay);
        }
        let mut whole = Vec::from([VERSION]);
        whole.varint(content.len() as u64);
        whole.put(&content);
        let sum = sum(&whole);
        whole.put(&sum);
        Ok(BASE64URL_NOPAD.encode(&whole))
    }

    /// Reads an invitation, of which `now` in seconds since 1970 tells whether it has expired.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(given: &str, now: u64) -> Result<Self, InvitationError> {
        let text = fragment(given)?;
        let whole = bytes(text);
        let mut from = Reader::new(&whole);
        match from.byte() {
            Ok(VERSION) => {}
            Ok(other) => return Err(InvitationError::Version(other)),
            Err(_) => return Err(InvitationError::Empty),
        }
        // A length beyond what can be is damaged itself.
        let length = from.length("content", TEXT_CHARS_MAX);
        let length = length.map_err(|_| InvitationError::Damaged)?;
        let content = from.rest();
        let expected = BASE64URL_NOPAD.encode_len(whole.len() - content.len() + length + SUM_BYTES);
        match text.len() {
            found if found < expected => return Err(InvitationError::Cut { found, expected }),
            found if found > expected => return Err(InvitationError::Trailing { found, expected }),
            _ => {}
        }
        // Of the last character not all bits are used: the text has one form.
        let is_whole = BASE64URL_NOPAD.encode(&whole) == text;
        let sums = whole.split_last_chunk::<SUM_BYTES>();
        if !is_whole || sums.is_none_or(|(said, claimed)| sum(said) != *claimed) {
            return Err(InvitationError::Damaged);
        }
        let malformed = |_| InvitationError::Malformed("does not say what an invitation should");
        let invitation = Self::read(&content[..length]).map_err(malformed)?;
        check(&invitation.name, &invitation.relays)?;
        match invitation.expires {
            Some(expires) if expires <= now => Err(InvitationError::Expired(expires)),
            _ => Ok(invitation),
        }
    }

    fn read(content: &[u8]) -> Result<Self, WireError> {
        let from = &mut Reader::new(content);
        let secret = Secret::new(from.array()?);
        let expires = from.varint()?;
        let name = from.text(NAME_BYTES_MAX)?.into();
        let count = from.length("relays", RELAYS_MAX)?;
        let relays = (0..count)
            .map(|_| Ok(from.text(RELAY_BYTES_MAX)?.into()))
            .collect::<Result<_, WireError>>()?;
        from.clone().finish()?;
        Ok(Self {
            name,
            secret,
            relays,
            expires: (expires > 0).then_some(expires),
        })
    }
}

fn check(name: &str, relays: &[String]) -> Result<(), InvitationError> {
    let what = if name.is_empty() {
        "names no store"
    } else if name.len() > NAME_BYTES_MAX {
        "names the store in more than 256 bytes"
    } else if relays.len() > RELAYS_MAX {
        "names more than 16 relays"
    } else if relays
        .iter()
        .any(|relay| relay.is_empty() || relay.len() > RELAY_BYTES_MAX)
    {
        "has an address of a relay that is empty or longer than 512 bytes"
    } else {
        return Ok(());
    };
    Err(InvitationError::Malformed(what))
}

/// What was given without what links are pasted with: spaces, and the `#` before the fragment.
fn fragment(given: &str) -> Result<&str, InvitationError> {
    let text = given.trim();
    let text = text.strip_prefix('#').unwrap_or(text);
    let stray = |char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
    match text.chars().enumerate().find(|(_, char)| stray(*char)) {
        Some((at, found)) => Err(InvitationError::Character { found, at: at + 1 }),
        None if text.len() > TEXT_CHARS_MAX => Err(InvitationError::Trailing {
            found: text.len(),
            expected: TEXT_CHARS_MAX,
        }),
        None => Ok(text),
    }
}

/// The bytes that characters of the alphabet stand for; if the end is missing, those that are whole.
fn bytes(text: &str) -> Vec<u8> {
    let whole = BASE64URL_NOPAD.decode(text.as_bytes());
    whole
        .or_else(|error| BASE64URL_NOPAD.decode(&text.as_bytes()[..error.position / 4 * 4]))
        .unwrap_or_default()
}

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    *Sha256::digest(bytes).first_chunk().expect("a hash is longer")
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString as _};
    use core::str;

    use proptest::prelude::*;

    use super::*;

    const RELAY: &str = "/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooWGzBhyT3a2YzTsNcXVqGZTBQ8UYxQ8gYxxG8gGZ4pCkwQ";
    const NOW: u64 = 1_800_000_000;

    fn invitation() -> Invitation {
        Invitation {
            name: "shopping-list".into(),
            secret: Secret::new([0xa5; 32]),
            relays: [RELAY.into()].into(),
            expires: None,
        }
    }

    fn decode(text: &str) -> Result<Invitation, InvitationError> {
        Invitation::decode(text, NOW)
    }

    #[test]
    fn an_invitation_with_one_relay_fits_a_short_link() {
        let text = invitation().encode().unwrap();
        assert_eq!(decode(&text), Ok(invitation()));
        assert_eq!(text.len(), 198, "{text}");
        let long = Invitation {
            name: "n".repeat(64),
            expires: Some(u64::from(u32::MAX)),
            ..invitation()
        };
        assert!(long.encode().unwrap().len() < 300);
    }

    #[test]
    fn what_is_around_a_pasted_fragment_does_no_harm() {
        let text = invitation().encode().unwrap();
        assert_eq!(decode(&format!(" #{text}\n")), Ok(invitation()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let text = invitation().encode().unwrap();
        let whole = text.len();
        assert_eq!(decode(" "), Err(InvitationError::Empty));
        assert_eq!(decode("#"), Err(InvitationError::Empty));
        let url = format!("https://example.org/#{text}");
        assert_eq!(decode(&url), Err(InvitationError::Character { found: ':', at: 6 }));
        for found in 4..whole {
            let error = decode(&text[..found]).unwrap_err();
            assert!(
                matches!(error, InvitationError::Cut { .. }),
                "{found} characters: {error}"
            );
        }
        let doubled = format!("{text}{text}");
        assert!(matches!(decode(&doubled), Err(InvitationError::Trailing { .. })));
        let expired = Invitation {
            expires: Some(NOW),
            ..invitation()
        };
        assert_eq!(decode(&expired.encode().unwrap()), Err(InvitationError::Expired(NOW)));
        let good = Invitation {
            expires: Some(NOW + 1),
            ..invitation()
        };
        assert_eq!(decode(&good.encode().unwrap()), Ok(good));
    }

    #[test]
    fn a_changed_character_is_found() {
        let text = invitation().encode().unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'B' { b'C' } else { b'B' };
            let changed = str::from_utf8(&changed).unwrap();
            assert!(decode(changed).is_err(), "the character {at} was changed");
        }
    }

    #[test]
    fn what_cannot_be_invited_to_is_refused() {
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let relays = |count| (0..count).map(|n: usize| n.to_string()).collect::<Vec<_>>();
        for invitation in [
            Invitation {
                name: String::new(),
                ..invitation()
            },
            Invitation {
                name: long,
                ..invitation()
            },
            Invitation {
                relays: relays(RELAYS_MAX + 1),
                ..invitation()
            },
            Invitation {
                relays: [String::new()].into(),
                ..invitation()
            },
        ] {
            assert!(matches!(invitation.encode(), Err(InvitationError::Malformed(_))));
        }
    }

    proptest! {
        #[test]
        fn every_invitation_comes_back(
            name in "\\PC{1,60}",
            secret in any::<[u8; 32]>(),
            relays in proptest::collection::vec("[ -~]{1,100}", 0..RELAYS_MAX),
            expires in proptest::option::of(NOW + 1..u64::MAX),
        ) {
            let invitation = Invitation { name, secret: Secret::new(secret), relays, expires };
            prop_assert_eq!(decode(&invitation.encode().unwrap()), Ok(invitation));
        }

        #[test]
        fn any_text_is_taken_without_panic(text in "\\PC{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&text);
            let _ = decode(&BASE64URL_NOPAD.encode(&bytes));
        }
    }
}
