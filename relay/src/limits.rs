//! How much a relay does for others before it refuses.

use std::{num::NonZeroU32, time::Duration};

use libp2p::{connection_limits::ConnectionLimits, relay};

use crate::places::Places;

/// How many members a relay serves, and how far.
///
/// The defaults of libp2p's circuits (128 KiB and two minutes) are made for a handshake after which both sides connect
/// directly. Ours carry data, for as long as it takes, when there is no direct path: behind some firewalls there never
/// is.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Members that can be reached through the relay at the same time. Each costs a connection, about 100 KiB.
    pub reservations: usize,
    /// Circuits at the same time. A member keeps up to twelve others, and each circuit has two ends; so six for each
    /// reservation, and some room. Each costs two buffers of 8 KiB and what is in flight.
    pub circuits: usize,
    /// Circuits of one member, counting those that others opened to it: no member accepts more than 32 links.
    pub circuits_per_peer: usize,
    /// Connections of one address at the same time; of this machine's own there may be any number. A school or an office may share one.
    pub connections_per_address: usize,
    /// How long a circuit lasts. When it ends, its members open another.
    pub circuit_duration: Duration,
    /// How many bytes a circuit carries in both directions together: a store of many gigabytes can be fetched at one
    /// go, and one that is used as a free proxy is cut some time.
    pub circuit_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reservations: 1_024,
            circuits: 8_192,
            circuits_per_peer: 64,
            connections_per_address: 256,
            circuit_duration: Duration::from_secs(12 * 60 * 60),
            circuit_bytes: 16 * 1024 * 1024 * 1024,
        }
    }
}

/// After how long a reservation has to be renewed, which members do by themselves.
const RESERVATION_DURATION: Duration = Duration::from_secs(60 * 60);

/// Reservations of one member: one, and one that has not noticed yet that its connection is dead.
const RESERVATIONS_PER_PEER: usize = 2;

/// How fast one address may ask: so many at once, and one more in each interval. Many members may share an address (a
/// school, an office, a proxy before this relay), and after a restart of the relay they all come at once.
const BURST_PER_ADDRESS: NonZeroU32 = NonZeroU32::new(4_096).unwrap();
const REFILL_PER_ADDRESS: Duration = Duration::from_millis(50);

/// The same for one member: a dozen circuits at once are normal, endless new ones are not.
const BURST_PER_PEER: NonZeroU32 = NonZeroU32::new(128).unwrap();
const REFILL_PER_PEER: Duration = Duration::from_secs(1);

/// For how long a member may register, in seconds. A member that says nothing of it gets the most. Short times are
/// welcome: they are how those who are connected but of no use any more come to be forgotten. Members ask for five
/// minutes.
pub(crate) const REGISTRATION_SECONDS_MIN: u64 = 60;
pub(crate) const REGISTRATION_SECONDS_MAX: u64 = 10 * 60;

/// Namespaces of one member: one for each of its open stores.
pub(crate) const REGISTRATIONS_PER_PEER: usize = 16;

/// How many bytes the signed record of one member may take. It names one address for each of its relays, about 100 bytes
/// each, and needs about 200 for keys and signature.
pub(crate) const RECORD_BYTES_MAX: usize = 4 * 1024;

/// How often one member may register or ask who is there, in a minute. For each store it does the one every few minutes
/// and the other twice a minute, and twice more when it connects, each time under the names of two days: 16 stores make about 150.
pub(crate) const REQUESTS_PER_MINUTE: u32 = 192;

/// Requests that may be under way on one connection. A member has three when all are due at once, to register and to ask under the
/// names of two days: ten stores of one process have room, and a tab has one. Each costs 8 KiB until it is read, and
/// [`DISCOVERED_BYTES_MAX`] until the answer is read.
pub(crate) const REQUESTS_AT_ONCE: usize = 2 * REGISTRATIONS_PER_PEER;

/// How many members one answer names: as many as members ask for, and far more than the few that they will connect to.
/// Who wants to know the others asks again with the cookie.
pub(crate) const DISCOVERED_MAX: usize = 256;

/// How many bytes one answer takes. Such a member takes about 400, so that more than 150 fit; an asker that does not read
/// holds no more than this back, and libp2p's client would take 1 MiB.
pub(crate) const DISCOVERED_BYTES_MAX: usize = 64 * 1024;

/// How many bytes of a WebSocket message a relay waits for at once: room for them is made when a message's first 14
/// bytes announce them, before anybody has said who they are. Members write what noise has gathered, 128 KiB and one
/// message of 64 KiB at most; more than twice that leaves room for those who gather more.
pub(crate) const WEBSOCKET_MESSAGE_BYTES_MAX: usize = 512 * 1024;

/// Connections whose handshake is under way. More at once are a flood.
const HANDSHAKES_MAX: u32 = 512;

/// Connections of one member: one, and some that are ending.
const CONNECTIONS_PER_PEER: u32 = 4;

impl Limits {
    pub(crate) fn relay(&self, places: &Places) -> relay::Config {
        let config = relay::Config {
            // More than there can be connections: `places` is the limit.
            max_reservations: self.established() as usize + 1,
            max_reservations_per_peer: RESERVATIONS_PER_PEER,
            reservation_duration: RESERVATION_DURATION,
            reservation_rate_limiters: Vec::new(),
            max_circuits: self.circuits,
            max_circuits_per_peer: self.circuits_per_peer,
            max_circuit_duration: self.circuit_duration,
            max_circuit_bytes: self.circuit_bytes,
            circuit_src_rate_limiters: Vec::new(),
        };
        let mut config = config
            .reservation_rate_per_ip(BURST_PER_ADDRESS, REFILL_PER_ADDRESS)
            .reservation_rate_per_peer(BURST_PER_PEER, REFILL_PER_PEER)
            .circuit_src_per_ip(BURST_PER_ADDRESS, REFILL_PER_ADDRESS)
            .circuit_src_per_peer(BURST_PER_PEER, REFILL_PER_PEER);
        // Last, since it is asked only when all before it have agreed: who is refused takes no place.
        config.reservation_rate_limiters.push(Box::new(places.clone()));
        config
    }

    /// Registrations at the same time: half of what members could make if each had as many stores open as it may. Most
    /// have one.
    pub(crate) fn registrations(&self) -> usize {
        self.reservations.saturating_mul(REGISTRATIONS_PER_PEER / 2)
    }

    pub(crate) fn connections(&self) -> ConnectionLimits {
        ConnectionLimits::default()
            .with_max_pending_incoming(Some(HANDSHAKES_MAX))
            .with_max_established_incoming(Some(self.established()))
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER))
    }

    /// Connections at the same time: twice the reservations, so that somebody may also come only to dial others.
    fn established(&self) -> u32 {
        u32::try_from(self.reservations.saturating_mul(2))
            .unwrap_or(u32::MAX)
            .max(CONNECTIONS_PER_PEER)
    }
}
