//! The command `gossipstore-relay`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{ArgAction, Parser, builder::RangedU64ValueParser};
use gossipstore_relay::{Identity, Limits, Options, Relay};
use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What a start that failed exits with, as usage errors do.
const EXIT_NOT_STARTED: u8 = 2;

/// The most that can be asked for of anything that is counted. No machine carries so much; it catches slips.
const COUNT_MAX: u64 = 1_000_000;

/// A relay for GossipStore: members of a store find each other here, and meet here until they have a direct path.
///
/// It prints a line `listening on <multiaddress>` for each address; give one of them to the stores. It cannot read what
/// it carries and stores nothing but its identity.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    /// Where to listen for WebSockets, as <IP>:<PORT>; port 0 takes a free one. May be repeated.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9091")]
    listen_ws: Vec<SocketAddr>,

    /// The file that holds the relay's key, created if missing. Without it the relay has another identity, and so other
    /// addresses, after each start.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,

    /// A multiaddress under which the relay can be reached from elsewhere, such as /dns4/relay.example.org/tcp/443/wss
    /// for a proxy that adds TLS. May be repeated.
    #[arg(long, value_name = "MULTIADDRESS", value_parser = external_address)]
    external: Vec<Multiaddr>,

    /// How many members can be reached through the relay at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().reservations, value_parser = count())]
    max_reservations: usize,

    /// How many circuits it carries at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().circuits, value_parser = count())]
    max_circuits: usize,

    /// How many circuits one member may have.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().circuits_per_peer, value_parser = count())]
    max_circuits_per_peer: usize,

    /// How many connections one address may have; give more where a proxy on another machine is between.
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections_per_address, value_parser = count())]
    max_connections_per_address: usize,

    /// After how many minutes a circuit is closed. Members open another by themselves.
    #[arg(
        long,
        value_name = "MINUTES",
        default_value_t = (Limits::default().circuit_duration.as_secs() / 60) as u32,
        value_parser = clap::value_parser!(u32).range(1..=60 * 24 * 365)
    )]
    max_circuit_minutes: u32,

    /// After how many MiB, both directions together, a circuit is closed.
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = (Limits::default().circuit_bytes / (1024 * 1024)) as u32,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    max_circuit_mib: u32,

    /// Log more: -v what is asked and done, -vv everything. RUST_LOG has the last word.
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Log errors only. The addresses are printed all the same.
    #[arg(short, long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log_to_stderr(&arguments);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(serve(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}

/// Starts, prints the addresses and serves until a signal says stop. An error is one line.
async fn serve(arguments: Arguments) -> Result<(), String> {
    // Before anything can be seen of us from outside, so that a signal right after that is not missed.
    let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);

    let identity = match &arguments.identity {
        Some(path) => Identity::at(path).map_err(|error| error.to_string())?,
        None => Identity::fresh(),
    };
    let options = Options {
        listen_ws: arguments.listen_ws,
        identity,
        external: arguments.external,
        limits: Limits {
            reservations: arguments.max_reservations,
            circuits: arguments.max_circuits,
            circuits_per_peer: arguments.max_circuits_per_peer,
            connections_per_address: arguments.max_connections_per_address,
            circuit_duration: Duration::from_secs(u64::from(arguments.max_circuit_minutes) * 60),
            circuit_bytes: u64::from(arguments.max_circuit_mib) * 1024 * 1024,
        },
    };
    let external = options.external.clone();
    let relay = Relay::start(options).await.map_err(|error| error.to_string())?;
    print_addresses(&relay, &external).map_err(|error| format!("cannot print the addresses: {error}"))?;
    if arguments.identity.is_none() {
        tracing::info!("this identity ends with the process; --identity FILE keeps it, and so the addresses");
    }
    relay
        .run(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tracing::info!("stopping");
        })
        .await;
    Ok(())
}

/// One line for each address, for people and programs: `listening on` those of this machine, `reachable at` the others.
fn print_addresses(relay: &Relay, external: &[Multiaddr]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in relay.addresses() {
        writeln!(out, "listening on {address}")?;
    }
    for address in external {
        writeln!(
            out,
            "reachable at {}",
            address.clone().with(Protocol::P2p(relay.peer_id()))
        )?;
    }
    out.flush()
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=COUNT_MAX)
}

fn external_address(text: &str) -> Result<Multiaddr, String> {
    let address: Multiaddr = text
        .parse()
        .map_err(|error| format!("it is no multiaddress: {error}"))?;
    if address.is_empty() {
        return Err("it is empty; give the address that the proxy answers at, or leave the option out".into());
    }
    if address
        .iter()
        .any(|part| matches!(part, Protocol::P2p(_) | Protocol::P2pCircuit))
    {
        return Err("leave out /p2p and what follows; the relay adds its identity itself".into());
    }
    Ok(address)
}

fn log_to_stderr(arguments: &Arguments) {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,gossipstore_relay=info",
        (_, 1) => "info,gossipstore_relay=debug",
        _ => "debug,gossipstore_relay=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false)
        .init();
}

fn refuse(error: &str) -> ExitCode {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "gossipstore-relay: {error}");
    ExitCode::from(EXIT_NOT_STARTED)
}
