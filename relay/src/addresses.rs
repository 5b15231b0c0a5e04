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
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm, dummy,
    },
};

/// The behaviour. It denies, and tells nothing.
#[derive(Debug)]
pub(crate) struct Addresses {
    max: usize,
    /// Those that stand, and those that are being set up.
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

impl Addresses {
    /// A connection has ended, or did not come about.
    fn ended(&mut self, connection: ConnectionId) {
        if let Some(address) = self.connections.remove(&connection)
            && let Some(count) = self.counts.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
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
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(address) = answers_for(remote) else {
            return Ok(());
        };
        let count = self.counts.entry(address).or_default();
        if *count >= self.max {
            let max = self.max;
            return Err(ConnectionDenied::new(TooMany { address, max }));
        }
        *count += 1;
        self.connections.insert(connection, address);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
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
            FromSwarm::ConnectionClosed(closed) => self.ended(closed.connection_id),
            // Also one that another behaviour does not let in.
            FromSwarm::ListenFailure(failure) => self.ended(failure.connection_id),
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
    use libp2p::{
        core::ConnectedPoint,
        swarm::{ConnectionClosed, ListenError, behaviour::ListenFailure},
    };

    use super::*;

    const MAX: usize = 3;

    struct Bench {
        addresses: Addresses,
        next: usize,
    }

    impl Bench {
        /// A connection from an address begins. Gives whether it was let in.
        fn connect(&mut self, from: &str) -> Option<ConnectionId> {
            self.next += 1;
            let connection = ConnectionId::new_unchecked(self.next);
            let pending =
                self.addresses
                    .handle_pending_inbound_connection(connection, &local(), &from.parse().unwrap());
            pending.ok().map(|()| connection)
        }

        fn close(&mut self, connection_id: ConnectionId) {
            let endpoint = ConnectedPoint::Listener {
                local_addr: local(),
                send_back_addr: local(),
            };
            self.addresses
                .on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                    peer_id: PeerId::random(),
                    connection_id,
                    endpoint: &endpoint,
                    cause: None,
                    remaining_established: 0,
                }));
        }

        /// It does not come about.
        fn fail(&mut self, connection_id: ConnectionId) {
            self.addresses.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
                local_addr: &local(),
                send_back_addr: &local(),
                error: &ListenError::Aborted,
                connection_id,
                peer_id: None,
            }));
        }
    }

    fn local() -> Multiaddr {
        "/ip4/192.0.2.1/tcp/9091/ws".parse().unwrap()
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
        bench.close(first);
        bench.close(first);
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
    fn what_has_ended_or_never_began_leaves_nothing_behind() {
        let mut bench = bench();
        let [first, second] = [(); 2].map(|()| bench.connect("/ip4/198.51.100.7/tcp/1").unwrap());
        bench.close(first);
        bench.fail(second);
        assert!(bench.addresses.connections.is_empty() && bench.addresses.counts.is_empty());
    }
}
