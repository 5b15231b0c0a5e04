//! Relay addresses, parsed once at the edge into a form that cannot be wrong.

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::error::OpenError;

/// How many relays a node keeps in touch with. Each costs a connection and a reservation for ever; two or three give
/// all the safety there is to have.
pub(crate) const RELAYS_MAX: usize = 16;

/// A relay that can be dialled: where it is and who it must prove to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RelayAddress {
    /// As it was given, for the status.
    pub(crate) given: String,
    /// The relay's identity, proven by the handshake.
    pub(crate) peer: PeerId,
    /// What to dial, with the identity at its end.
    pub(crate) dial: Multiaddr,
}

impl RelayAddress {
    /// Where to listen to be reachable through this relay.
    pub(crate) fn circuit(&self) -> Multiaddr {
        self.dial.clone().with(Protocol::P2pCircuit)
    }

    /// Where to dial a member that has a reservation at this relay.
    pub(crate) fn circuit_to(&self, member: PeerId) -> Multiaddr {
        self.circuit().with(Protocol::P2p(member))
    }
}

/// Parses the addresses of all relays.
pub(crate) fn parse(given: &[String]) -> Result<Vec<RelayAddress>, OpenError> {
    if given.len() > RELAYS_MAX {
        return Err(OpenError::TooManyRelays {
            given: given.len(),
            max: RELAYS_MAX,
        });
    }
    let mut relays = Vec::<RelayAddress>::new();
    for text in given {
        let refuse = |reason: String| OpenError::InvalidRelayAddress {
            address: text.clone(),
            reason,
        };
        let relay = parse_one(text).map_err(refuse)?;
        if relays.contains(&relay) {
            continue;
        }
        if let Some(other) = relays.iter().find(|other| other.peer == relay.peer) {
            return Err(refuse(format!(
                "it names the same relay as `{}`; keep one address of each relay",
                other.given
            )));
        }
        relays.push(relay);
    }
    Ok(relays)
}

/// Where to listen to be reachable through a member that is connected directly.
pub(crate) fn circuit_of(member: PeerId) -> Multiaddr {
    direct_to(member).with(Protocol::P2pCircuit)
}

/// Where to dial a member that has a reservation at another, which is connected directly.
pub(crate) fn circuit_through(member: PeerId, to: PeerId) -> Multiaddr {
    circuit_of(member).with(Protocol::P2p(to))
}

/// Whether an address is a circuit through a member, or a direct connection that is arranged on one.
pub(crate) fn leads_through_member(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    parts.next() == Some(Protocol::WebRTC) && parts.any(|part| part == Protocol::P2pCircuit)
}

/// The relay, or member, that an address leads through: the last one, if there are several.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    let mut last = None;
    for part in address {
        match part {
            Protocol::P2p(peer) => last = Some(peer),
            Protocol::P2pCircuit => relay = last,
            _ => {}
        }
    }
    relay
}

/// Where to dial a member directly. How to is arranged on the circuit that stands.
pub(crate) fn direct_to(member: PeerId) -> Multiaddr {
    Multiaddr::from_iter([Protocol::WebRTC, Protocol::P2p(member)])
}

/// The address as browsers write it: `wss://relay.example.org:443/`.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) fn websocket_url(address: &Multiaddr) -> Option<String> {
    let mut parts = address.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else {
        return None;
    };
    let (scheme, path) = match (parts.next()?, parts.next()) {
        (Protocol::Ws(path), _) => ("ws", path),
        (Protocol::Wss(path), _) | (Protocol::Tls, Some(Protocol::Ws(path))) => ("wss", path),
        _ => return None,
    };
    Some(format!("{scheme}://{host}:{port}{path}"))
}

fn parse_one(text: &str) -> Result<RelayAddress, String> {
    let dial: Multiaddr = text.trim().parse().map_err(|error| {
        format!("it is no multiaddress ({error}); one looks like /dns4/relay.example.org/tcp/443/wss/p2p/12D3KooW…")
    })?;
    let mut parts = dial.iter().collect::<Vec<_>>();
    let Some(Protocol::P2p(peer)) = parts.pop() else {
        return Err(
            "it does not end in the relay's identity, /p2p/12D3KooW…; the relay prints it when it starts".into(),
        );
    };
    if parts
        .iter()
        .any(|part| matches!(part, Protocol::P2p(_) | Protocol::P2pCircuit))
    {
        return Err("it leads through another relay; give the address of the relay itself".into());
    }
    match parts.as_slice() {
        [
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
            Protocol::Tcp(port),
            carrier @ ..,
        ] => {
            if *port == 0 {
                return Err("its port is 0; give the port that the relay printed when it started".into());
            }
            match carrier {
                [Protocol::Ws(_) | Protocol::Wss(_)] | [Protocol::Tls, Protocol::Ws(_)] => {}
                [] if cfg!(not(target_arch = "wasm32")) => {}
                [] => return Err("a browser reaches relays by WebSocket only; the address lacks /ws or /wss".into()),
                _ => return Err("it is not carried by /ws, /wss or /tls/ws over /tcp".into()),
            }
        }
        _ => return Err("it does not begin with a host and a port, such as /dns4/relay.example.org/tcp/443".into()),
    }
    Ok(RelayAddress {
        given: text.to_owned(),
        peer,
        dial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X";
    const OTHER: &str = "12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3";

    fn one(address: &str) -> Result<RelayAddress, String> {
        parse(&[address.replace("ID", ID)])
            .map(|relays| relays[0].clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn takes_what_a_relay_prints() {
        for address in [
            "/ip4/127.0.0.1/tcp/9091/ws/p2p/ID",
            "/ip6/::1/tcp/9091/ws/p2p/ID",
            "/dns4/relay.example.org/tcp/443/wss/p2p/ID",
            "/dns/relay.example.org/tcp/443/tls/ws/p2p/ID",
            " /ip4/127.0.0.1/tcp/9091/ws/p2p/ID\n",
        ] {
            let relay = one(address).unwrap();
            assert_eq!(relay.peer.to_string(), ID);
            assert!(relay.circuit().to_string().ends_with(&format!("/p2p/{ID}/p2p-circuit")));
        }
    }

    #[test]
    fn becomes_the_url_that_browsers_take() {
        for (address, url) in [
            ("/ip4/127.0.0.1/tcp/9091/ws/p2p/ID", Some("ws://127.0.0.1:9091/")),
            ("/ip6/::1/tcp/9091/ws/p2p/ID", Some("ws://[::1]:9091/")),
            (
                "/dns4/relay.example.org/tcp/443/wss/p2p/ID",
                Some("wss://relay.example.org:443/"),
            ),
            (
                "/dns/relay.example.org/tcp/443/tls/ws/p2p/ID",
                Some("wss://relay.example.org:443/"),
            ),
            (
                "/dns/relay.example.org/tcp/443/x-parity-ws/%2Frelay/p2p/ID",
                Some("ws://relay.example.org:443/relay"),
            ),
            ("/ip4/127.0.0.1/tcp/9091/p2p/ID", None),
            ("/ip4/127.0.0.1/udp/9091/quic-v1/p2p/ID", None),
        ] {
            let address = address.replace("ID", ID).parse().unwrap();
            assert_eq!(websocket_url(&address).as_deref(), url, "{address}");
        }
    }

    #[test]
    fn refuses_the_rest_and_names_the_remedy() {
        for (address, remedy) in [
            ("", "does not end in the relay's identity"),
            ("http://relay.example.org", "it is no multiaddress"),
            ("/ip4/127.0.0.1/tcp/9091/ws", "the relay prints it"),
            ("/ip4/127.0.0.1/tcp/9091/ws/p2p/nonsense", "it is no multiaddress"),
            ("/p2p/ID", "does not begin with a host and a port"),
            (
                "/ip4/127.0.0.1/udp/9091/p2p/ID",
                "does not begin with a host and a port",
            ),
            ("/ip4/127.0.0.1/tcp/0/ws/p2p/ID", "its port is 0"),
            ("/ip4/127.0.0.1/tcp/9091/http/p2p/ID", "not carried by /ws"),
            (
                "/ip4/127.0.0.1/tcp/9091/ws/p2p/ID/p2p-circuit/p2p/ID",
                "leads through another relay",
            ),
        ] {
            let error = one(address).expect_err(address);
            assert!(error.contains(remedy), "{address}: {error}");
        }
    }

    #[test]
    fn tells_whom_an_address_leads_through() {
        let relay = format!("/ip4/127.0.0.1/tcp/9091/ws/p2p/{ID}");
        for (address, through) in [
            (relay.clone(), None),
            (format!("{relay}/p2p-circuit"), Some(ID)),
            (format!("{relay}/p2p-circuit/p2p/{OTHER}"), Some(ID)),
            (format!("{relay}/p2p-circuit/webrtc/p2p/{OTHER}"), Some(ID)),
            (format!("{relay}/p2p-circuit/p2p/{OTHER}/p2p-circuit"), Some(OTHER)),
            (format!("/webrtc/p2p/{OTHER}"), None),
            (format!("/webrtc/p2p/{OTHER}/p2p-circuit"), Some(OTHER)),
        ] {
            let found = relay_of(&address.parse().unwrap());
            assert_eq!(found.map(|peer| peer.to_string()).as_deref(), through, "{address}");
        }
    }

    #[test]
    fn takes_each_relay_once() {
        let address = |id: &str, port: u16| format!("/ip4/127.0.0.1/tcp/{port}/ws/p2p/{id}");
        assert_eq!(
            parse(&[address(ID, 1), address(ID, 1), address(OTHER, 2)])
                .unwrap()
                .len(),
            2
        );
        let error = parse(&[address(ID, 1), address(ID, 2)]).unwrap_err();
        assert!(matches!(error, OpenError::InvalidRelayAddress { reason, .. } if reason.contains("same relay")));
        let many = (1..=RELAYS_MAX as u16 + 1)
            .map(|port| address(ID, port))
            .collect::<Vec<_>>();
        assert_eq!(
            parse(&many),
            Err(OpenError::TooManyRelays {
                given: RELAYS_MAX + 1,
                max: RELAYS_MAX
            })
        );
    }
}
