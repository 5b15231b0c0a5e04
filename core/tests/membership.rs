//! What comes of a store's secret is the same for ever: all that members say to each other rests on it.
//!
//! After a deliberate change: `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test membership`.

#[path = "support/golden.rs"]
mod golden;

use golden::{Vectors, hex, recorded};
use gossipstore_core::membership::{Invitation, NONCE_BYTES, Secret, Side};

/// All that is made of one secret, each made from constants that are written out here.
fn made() -> Vectors {
    let mut bytes = [0; 32];
    (0..).zip(&mut bytes).for_each(|(n, byte)| *byte = n);
    let secret = Secret::new(bytes);
    let ann = Side {
        peer: b"ann",
        challenge: &[1; 32],
    };
    let ben = Side {
        peer: b"ben",
        challenge: &[2; 32],
    };
    let invitation = Invitation {
        name: "shopping list".into(),
        secret: secret.clone(),
        relays: ["/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooWExample".into()].into(),
        expires: Some(1_800_000_000),
    };
    let [today, yesterday] = secret.topics().around(1_750_000_000);
    let made = [
        ("secret of an open store", hex(Secret::of_name("shopping list").bytes())),
        ("store", hex(&secret.store().0)),
        ("name of 2025-06-15", today),
        ("name of 2025-06-14", yesterday),
        ("name of the gossip", secret.topics().gossip()),
        ("sealed milk", hex(&secret.sealer().seal([9; NONCE_BYTES], b"milk"))),
        ("proof of ann to ben", hex(&secret.prover().prove(ann, ben))),
        ("invitation", invitation.encode().unwrap()),
    ];
    made.map(|(name, value)| (name.to_owned(), value)).into()
}

#[test]
fn what_is_made_of_a_secret_is_golden() {
    let made = made();
    assert_eq!(made, recorded("membership", Some(&made)));
}
