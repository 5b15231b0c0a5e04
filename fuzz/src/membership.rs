//! Invitations and sealed messages, as strangers hand them in.

use data_encoding::BASE64URL_NOPAD;
use gossipstore_core::membership::{Invitation, NONCE_BYTES, Secret};
use sha2::{Digest as _, Sha256};

/// Reads the input as an invitation, as what an invitation with a right sum says, and as a sealed message; seals it, and damages that.
pub fn run(input: &[u8]) {
    invitation(&String::from_utf8_lossy(input));
    invitation(&with_sum(input));
    sealed(input);
}

/// An invitation whose content are these bytes, so that damage to its sum is not all that is found.
pub fn with_sum(content: &[u8]) -> String {
    let mut whole = vec![1];
    let mut length = content.len();
    while length >= 0x80 {
        whole.push(length as u8 | 0x80);
        length >>= 7;
    }
    whole.push(length as u8);
    whole.extend(content);
    let sum = Sha256::digest(&whole);
    whole.extend(&sum[..4]);
    BASE64URL_NOPAD.encode(&whole)
}

fn invitation(text: &str) {
    let Ok(invitation) = Invitation::decode(text, 0) else {
        return;
    };
    let written = invitation.encode().expect("what was read can be written");
    assert_eq!(
        written,
        text.trim().trim_start_matches('#'),
        "an invitation has one form"
    );
    assert_eq!(Invitation::decode(&written, 0), Ok(invitation));
}

fn sealed(input: &[u8]) {
    let sealer = Secret::new([7; 32]).sealer();
    assert!(sealer.unseal(input).is_err(), "nobody has the secret");
    let mut sealed = sealer.seal([9; NONCE_BYTES], input);
    assert_eq!(sealer.unseal(&sealed).as_deref(), Ok(input));
    let at = input
        .iter()
        .fold(0, |at, byte| (at * 31 + usize::from(*byte)) % sealed.len());
    sealed[at] ^= input.len() as u8 | 1;
    assert!(sealer.unseal(&sealed).is_err(), "it was changed");
}
