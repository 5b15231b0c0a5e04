//! How many connections each address has: one that opens no end of them is refused, and all others go on.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv6Addr},
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{ConnectedPoint, Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, behaviour::ConnectionEstablished, dummy,
    },
};

/// The behaviour. It denies, and tells nothing.
#[derive(Debug)]
pub(crate) struct Addresses {
    max: usize,
    connections: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, usize>,
}

/// An address has as many connections as one may have.
#[derive(Debug)]
pub(crate) struct TooMany {
    address: IpAddr,
    max: usize,
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has {} connections already", self.address, self.max)
    }
}

impl std::error::Error for TooMany {}

impl Addresses {
    /// So many connections of each address. This machine's own have no limit: on it there may be a proxy that adds TLS, through which all
    /// members come.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            connections: HashMap::new(),
            counts: HashMap::new(),
        }
    }
}

/// Who answers for an address: the address itself, or the network of 64 bits that every household with IPv6 has. None of this
/// machine's own.
fn answers_for(address: &Multiaddr) -> Option<IpAddr> {
    let ip = address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    })?;
    let network = match ip {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    };
    (!ip.is_loopback()).then_some(network)
}

impl NetworkBehaviour for Addresses {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match answers_for(remote) {
            Some(address) if self.counts.get(&address).is_some_and(|count| *count >= self.max) => {
                let max = self.max;
                Err(ConnectionDenied::new(TooMany { address, max }))
            }
            _ => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Many may have been set up at the same time.
        self.handle_pending_inbound_connection(connection, local, remote)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                connection_id,
                endpoint: ConnectedPoint::Listener { send_back_addr, .. },
                ..
            }) => {
                if let Some(address) = answers_for(send_back_addr) {
                    self.connections.insert(connection_id, address);
                    *self.counts.entry(address).or_default() += 1;
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(address) = self.connections.remove(&closed.connection_id)
                    && let Some(count) = self.counts.get_mut(&address)
                {
                    *count -= 1;
                    if *count == 0 {
                        self.counts.remove(&address);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use libp2p::swarm::ConnectionClosed;

    use super::*;

    const MAX: usize = 3;

    struct Bench {
        addresses: Addresses,
        next: usize,
    }

    impl Bench {
        /// A connection from an address. Gives whether it was let in.
        fn connect(&mut self, from: &str) -> Option<(ConnectionId, ConnectedPoint)> {
            let local: Multiaddr = "/ip4/192.0.2.1/tcp/9091/ws".parse().unwrap();
            let remote: Multiaddr = from.parse().unwrap();
            self.next += 1;
            let connection = ConnectionId::new_unchecked(self.next);
            let peer_id = PeerId::random();
            self.addresses
                .handle_pending_inbound_connection(connection, &local, &remote)
                .ok()?;
            self.addresses
                .handle_established_inbound_connection(connection, peer_id, &local, &remote)
                .ok()?;
            let endpoint = ConnectedPoint::Listener {
                local_addr: local,
                send_back_addr: remote,
            };
            self.addresses
                .on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                    peer_id,
                    connection_id: connection,
                    endpoint: &endpoint,
                    failed_addresses: &[],
                    other_established: 0,
                }));
            Some((connection, endpoint))
        }

        fn close(&mut self, connection_id: ConnectionId, endpoint: &ConnectedPoint) {
            self.addresses
                .on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                    peer_id: PeerId::random(),
                    connection_id,
                    endpoint,
                    cause: None,
                    remaining_established: 0,
                }));
        }
    }

    fn bench() -> Bench {
        let addresses = Addresses::new(MAX);
        Bench { addresses, next: 0 }
    }

    #[test]
    fn an_address_has_so_many_connections_and_others_have_theirs() {
        let mut bench = bench();
        let first = bench.connect("/ip4/198.51.100.7/tcp/50000").unwrap();
        for port in 1..MAX {
            assert!(bench.connect(&format!("/ip4/198.51.100.7/tcp/{port}")).is_some());
        }
        assert!(bench.connect("/ip4/198.51.100.7/tcp/40000").is_none());
        assert!(
            bench.connect("/ip6/::ffff:198.51.100.7/tcp/40000").is_none(),
            "the same"
        );
        assert!(bench.connect("/ip4/198.51.100.8/tcp/40000").is_some());
        bench.close(first.0, &first.1);
        bench.close(first.0, &first.1);
        assert!(bench.connect("/ip4/198.51.100.7/tcp/40000").is_some());
        assert!(bench.connect("/ip4/198.51.100.7/tcp/40001").is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_this_machine_is_none() {
        let mut bench = bench();
        for n in 0..2 * MAX {
            let is_let_in = bench.connect(&format!("/ip6/2001:db8:1:2:{n}::1/tcp/1")).is_some();
            assert_eq!(is_let_in, n < MAX);
            assert!(bench.connect("/ip4/127.0.0.1/tcp/1").is_some());
            assert!(bench.connect("/ip6/::1/tcp/1").is_some());
        }
        assert!(bench.connect("/ip6/2001:db8:1:3::1/tcp/1").is_some());
    }

    #[test]
    fn what_is_closed_leaves_nothing_behind() {
        let mut bench = bench();
        let (connection, endpoint) = bench.connect("/ip4/198.51.100.7/tcp/1").unwrap();
        bench.close(connection, &endpoint);
        assert!(bench.addresses.connections.is_empty() && bench.addresses.counts.is_empty());
    }
}
