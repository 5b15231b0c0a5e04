//! Addresses of direct connections, and of the circuits that they are arranged on.

use libp2p_core::{Multiaddr, multiaddr::Protocol};
use libp2p_identity::PeerId;

/// Whether the bytes of a connection with this address pass a relay. Unlike `is_relayed()`, which is also true of a
/// direct connection that was arranged on a circuit, as `/p2p-circuit` is in its address.
pub fn is_circuit(address: &Multiaddr) -> bool {
    let last = address
        .iter()
        .filter(|part| matches!(part, Protocol::P2pCircuit | Protocol::WebRTC))
        .last();
    last == Some(Protocol::P2pCircuit)
}

/// Whom to dial, and where to meet.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Destination {
    pub(crate) peer: PeerId,
    /// The circuit to dial when none stands.
    pub(crate) circuit: Option<Multiaddr>,
}

impl Destination {
    /// Takes `<circuit>/webrtc/p2p/<peer>` and `/webrtc/p2p/<peer>`.
    pub(crate) fn parse(address: &Multiaddr) -> Option<Self> {
        let mut circuit = address.clone();
        let Protocol::P2p(peer) = circuit.pop()? else {
            return None;
        };
        let Protocol::WebRTC = circuit.pop()? else {
            return None;
        };
        let circuit = match circuit.iter().last() {
            None => None,
            Some(Protocol::P2pCircuit) => Some(circuit.with(Protocol::P2p(peer))),
            Some(_) => return None,
        };
        Some(Self { peer, circuit })
    }
}

/// The address to listen on.
pub(crate) fn listen() -> Multiaddr {
    Protocol::WebRTC.into()
}

/// Where `local` can be dialled directly by those who can reach it through the circuit that it listens on.
pub(crate) fn announced(circuit: &Multiaddr, local: PeerId) -> Option<Multiaddr> {
    let mut address = circuit.clone();
    let mut last = address.pop()?;
    if last == Protocol::P2p(local) {
        last = address.pop()?;
    }
    (last == Protocol::P2pCircuit && !address.is_empty()).then(|| {
        address
            .with(Protocol::P2pCircuit)
            .with(Protocol::WebRTC)
            .with(Protocol::P2p(local))
    })
}

/// Where a peer is that a direct connection came in from. It cannot be dialled at its IP address.
pub(crate) fn send_back(peer: PeerId) -> Multiaddr {
    listen().with(Protocol::P2p(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELAY: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    const MEMBER: &str = "12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3";
    const PEER: &str = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";

    fn address(text: &str) -> Multiaddr {
        let text = text
            .replace("RELAY", RELAY)
            .replace("MEMBER", MEMBER)
            .replace("PEER", PEER);
        text.parse().unwrap()
    }

    /// The names above in a form that `address` takes.
    fn short(address: &Multiaddr) -> String {
        let text = address.to_string();
        text.replace(RELAY, "RELAY")
            .replace(MEMBER, "MEMBER")
            .replace(PEER, "PEER")
    }

    #[test]
    fn says_whom_to_dial_and_where_to_meet() {
        for (given, circuit) in [
            (
                "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc/p2p/PEER",
                Some("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/p2p/PEER"),
            ),
            // A member that is itself connected to directly may be the relay.
            (
                "/webrtc/p2p/MEMBER/p2p-circuit/webrtc/p2p/PEER",
                Some("/webrtc/p2p/MEMBER/p2p-circuit/p2p/PEER"),
            ),
            ("/webrtc/p2p/PEER", None),
        ] {
            let destination = Destination::parse(&address(given)).expect(given);
            assert_eq!(destination.peer.to_string(), PEER, "{given}");
            assert_eq!(destination.circuit.as_ref().map(short).as_deref(), circuit, "{given}");
        }
    }

    #[test]
    fn leaves_other_addresses_to_other_transports() {
        for given in [
            "",
            "/webrtc",
            "/p2p/PEER",
            "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/p2p/PEER",
            "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc",
            "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/webrtc/p2p/PEER",
            "/ip4/127.0.0.1/udp/1/webrtc-direct/p2p/PEER",
        ] {
            assert_eq!(Destination::parse(&address(given)), None, "{given}");
        }
    }

    #[test]
    fn tells_circuits_from_direct_connections() {
        for (given, expected) in [
            ("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY", false),
            ("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit", true),
            ("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/p2p/PEER", true),
            ("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc/p2p/PEER", false),
            ("/webrtc/p2p/PEER", false),
            ("/webrtc/p2p/MEMBER/p2p-circuit/p2p/PEER", true),
            ("/webrtc/p2p/MEMBER/p2p-circuit/webrtc/p2p/PEER", false),
        ] {
            assert_eq!(is_circuit(&address(given)), expected, "{given}");
        }
    }

    #[test]
    fn announces_what_can_be_dialled() {
        for (circuit, expected) in [
            (
                "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/p2p/PEER",
                Some("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc/p2p/PEER"),
            ),
            (
                "/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit",
                Some("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc/p2p/PEER"),
            ),
            ("/ip4/127.0.0.1/tcp/1/ws/p2p/RELAY/p2p-circuit/webrtc/p2p/PEER", None),
            ("/ip4/127.0.0.1/tcp/1/ws", None),
            ("/p2p-circuit", None),
            ("", None),
        ] {
            let announced = announced(&address(circuit), PEER.parse().unwrap());
            assert_eq!(announced.as_ref().map(short).as_deref(), expected, "{circuit}");
            if let Some(announced) = announced {
                assert!(Destination::parse(&announced).is_some(), "{announced}");
            }
        }
    }
}
