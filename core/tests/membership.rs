//! What comes of a store's secret is the same for ever: all that members say to each other rests on it.
//!
//! After a deliberate change: `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test membership`.

use std::{collections::BTreeMap, env, fs, path::Path};

use gossipstore_core::membership::{Invitation, NONCE_BYTES, Secret, Side};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that is made of one secret, each made from constants that are written out here.
fn made() -> BTreeMap<String, String> {
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
        ("secret of a public store", hex(Secret::public("shopping list").bytes())),
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/membership.json");
    let made = made();
    if env::var_os("GOSSIPSTORE_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&made).expect("strings are JSON");
        fs::write(&path, text + "\n").expect("the folder of vectors is writable");
    }
    let golden = fs::read_to_string(&path).expect("the vectors are in the repository");
    let golden: BTreeMap<String, String> = serde_json::from_str(&golden).expect("the vectors are JSON");
    assert_eq!(made, golden);
}
