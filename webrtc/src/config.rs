//! What a user of the transport may choose.

use std::time::Duration;

/// The settings of a transport. The default finds paths within a local network only: it names no ICE servers.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Who tells a browser its public address (STUN) or passes data on when no path is found (TURN). None by default:
    /// which strangers learn people's addresses is the application's choice.
    pub ice_servers: Vec<IceServer>,
    /// How long a connection may take, from the dial or from the other side's first message, until it stands. 20
    /// seconds by default: ICE takes a few where networks are slow to answer, and gives up after about 15.
    pub handshake_timeout: Duration,
}

/// A STUN or TURN server.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IceServer {
    /// Where it is, such as `stun:stun.example.org:3478` or `turns:turn.example.org:443?transport=tcp`.
    pub urls: Vec<String>,
    /// For TURN.
    pub username: Option<String>,
    /// For TURN.
    pub credential: Option<String>,
}

impl Config {
    /// The default with these ICE servers.
    pub fn with_ice_servers(mut self, servers: Vec<IceServer>) -> Self {
        self.ice_servers = servers;
        self
    }

    /// The default with this time for a connection to stand.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ice_servers: Vec::new(),
            handshake_timeout: Duration::from_secs(20),
        }
    }
}
