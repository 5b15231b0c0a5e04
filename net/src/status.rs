//! The truth about a node, in the words that a person is shown: saved where, linked with whom, and why not.

use serde::Serialize;

use crate::refusals::Refusals;

/// Everything [`crate::Handle::status`] says, at one moment.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether this place hosts the engine.
    pub role: Role,
    /// The best path to anybody.
    pub network: Network,
    /// The members that are linked and exchange data.
    pub peers: Vec<PeerStatus>,
    /// Where the data rests.
    pub storage: StorageStatus,
    /// The relays, in the order they were given.
    pub relays: Vec<RelayStatus>,
    /// Writes that are visible but not durable yet.
    pub pending: usize,
    /// What limits against those who misbehave have refused.
    pub refused: Refusals,
}

/// Whether this place hosts the engine or talks to one that does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// It hosts the engine.
    Leader,
}

/// The best path to anybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Network {
    /// Nobody can be reached: there are no relays, or the last attempt with each of them failed. Stays so while further
    /// attempts are made, so that a badge does not flicker.
    #[default]
    Offline,
    /// A relay is being tried for the first time since the start or since it was last reached.
    Connecting,
    /// Linked through a relay, or at a relay where members can find us.
    Relayed,
    /// Linked with at least one member without a relay between.
    Direct,
}

/// How the bytes to a peer travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Path {
    /// Through a relay's circuit.
    Relayed,
    /// Without a relay.
    Direct,
}

/// One linked member.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its libp2p peer id, fresh at each opening of its store.
    pub id: String,
    /// How the bytes travel.
    pub path: Path,
    /// Why they pass a relay, if they do: what stands in the way of a direct connection, or that one is being tried.
    pub relayed_because: Option<String>,
    /// The last ping's round trip in milliseconds, once there was one.
    pub rtt_ms: Option<f64>,
    /// Whether it is known to hold exactly what we hold.
    pub in_sync: bool,
    /// Bytes of session frames and gossip messages that came from it over this link, without the protocols' envelopes.
    pub bytes_in: u64,
    /// The same towards it. A gossip message counts once for each linked peer when it is published here.
    pub bytes_out: u64,
}

/// Where the data rests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageStatus {
    /// What keeps it.
    pub kind: StorageKind,
    /// Whether the system has promised not to throw it away under pressure.
    pub persisted: bool,
    /// Bytes of the keys and of the values they read as.
    pub used_bytes: u64,
    /// What the system allows, when it says so.
    pub quota_bytes: Option<u64>,
    /// Why nothing can be stored at present, or why the data is in memory only.
    pub problem: Option<String>,
}

/// What keeps the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StorageKind {
    /// This process's memory: it ends with it.
    Memory,
    /// The browser's IndexedDB.
    #[serde(rename = "indexeddb")]
    IndexedDb,
    /// A file.
    File,
}

/// One relay.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayStatus {
    /// Its address as it was given.
    pub address: String,
    /// What is being done about it.
    pub state: RelayState,
    /// Why the last attempt failed, or what the relay will not do for us.
    pub error: Option<String>,
}

/// What is being done about a relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RelayState {
    /// It is dialled, or asked for a reservation.
    Connecting,
    /// It holds a reservation for us: members can reach us through it.
    Connected,
    /// The last attempt failed; the next one follows by itself.
    Waiting,
}

/// Judges the network from what is known of peers and relays.
pub(crate) fn network<'a>(paths: impl Iterator<Item = Path>, relays: &'a [RelayStatus]) -> Network {
    let linked = paths.fold(Network::Offline, |best, path| match (best, path) {
        (Network::Direct, _) | (_, Path::Direct) => Network::Direct,
        (_, Path::Relayed) => Network::Relayed,
    });
    let fresh = |relay: &&'a RelayStatus| relay.state == RelayState::Connecting && relay.error.is_none();
    if linked != Network::Offline {
        linked
    } else if relays.iter().any(|relay| relay.state == RelayState::Connected) {
        Network::Relayed
    } else if relays.iter().find(fresh).is_some() {
        Network::Connecting
    } else {
        Network::Offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(state: RelayState, error: Option<&str>) -> RelayStatus {
        RelayStatus {
            address: "a".into(),
            state,
            error: error.map(Into::into),
        }
    }

    #[test]
    fn the_network_is_the_best_path_and_does_not_flicker_between_attempts() {
        use {Path::*, RelayState::*};
        for (paths, relays, expected) in [
            (vec![], vec![], Network::Offline),
            (vec![], vec![relay(Connecting, None)], Network::Connecting),
            (vec![], vec![relay(Connecting, Some("refused"))], Network::Offline),
            (vec![], vec![relay(Waiting, Some("refused"))], Network::Offline),
            (
                vec![],
                vec![relay(Waiting, Some("refused")), relay(Connected, None)],
                Network::Relayed,
            ),
            (vec![Relayed], vec![relay(Waiting, Some("refused"))], Network::Relayed),
            (
                vec![Direct, Relayed],
                vec![relay(Waiting, Some("refused"))],
                Network::Direct,
            ),
            (vec![Relayed, Direct], vec![], Network::Direct),
        ] {
            assert_eq!(
                network(paths.iter().copied(), &relays),
                expected,
                "{paths:?} {relays:?}"
            );
        }
    }

    #[test]
    fn serializes_in_the_words_of_the_api() {
        let words = |value: serde_json::Value| value.as_str().map(str::to_owned);
        assert_eq!(
            words(serde_json::to_value(Network::Relayed).unwrap()).as_deref(),
            Some("relayed")
        );
        let status = Status {
            role: Role::Leader,
            network: Network::Direct,
            peers: vec![PeerStatus {
                id: "p".into(),
                path: Path::Direct,
                relayed_because: None,
                rtt_ms: None,
                in_sync: true,
                bytes_in: 1,
                bytes_out: 2,
            }],
            storage: StorageStatus {
                kind: StorageKind::Memory,
                persisted: false,
                used_bytes: 3,
                quota_bytes: None,
                problem: None,
            },
            relays: vec![relay(RelayState::Waiting, Some("refused"))],
            pending: 0,
            refused: Refusals {
                strangers: 4,
                ..Refusals::default()
            },
        };
        assert_eq!(
            serde_json::to_value(&status).unwrap(),
            serde_json::json!({
                "role": "leader",
                "network": "direct",
                "peers": [{ "id": "p", "path": "direct", "relayedBecause": null, "rttMs": null, "inSync": true, "bytesIn": 1, "bytesOut": 2 }],
                "storage": { "kind": "memory", "persisted": false, "usedBytes": 3, "problem": null, "quotaBytes": null },
                "relays": [{ "address": "a", "state": "waiting", "error": "refused" }],
                "pending": 0,
                "refused": {
                    "connections": 0, "strangers": 4, "streams": 0, "frames": 0,
                    "pauses": 0, "messages": 0, "floods": 0, "presences": 0, "transactions": 0, "members": 0,
                },
            })
        );
    }
}
