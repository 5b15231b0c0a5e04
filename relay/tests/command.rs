//! The command as a person meets it: its addresses, its key file, its signals, its exit codes. Every test runs the real
//! binary.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

const ANY_PORT: [&str; 2] = ["--listen-ws", "127.0.0.1:0"];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gossipstore-relay"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A relay that has printed its first address.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(&[&ANY_PORT, arguments].concat()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("not an address: {line}"));
        Self {
            address: address.to_owned(),
            child,
        }
    }

    fn identity(&self) -> &str {
        self.address.rsplit_once("/p2p/").unwrap().1
    }

    fn port(&self) -> u16 {
        self.address.split('/').nth(4).unwrap().parse().unwrap()
    }

    /// Sends a signal and waits for the end; gives the exit code and what it said on standard error.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let kill = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A start that fails says why in one line, prints no address and exits with 2.
fn refused(arguments: &[&str], because: &str) {
    let Output { status, stdout, stderr } = command(arguments).output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains(because), "{said}");
    assert!(
        said.starts_with("gossipstore-relay: ") && said.trim_end().lines().count() == 1,
        "{said}"
    );
    assert!(stdout.is_empty());
}

#[test]
fn prints_an_address_that_can_be_connected_to() {
    let relay = Running::start(&[]);
    let expected = format!("/ip4/127.0.0.1/tcp/{}/ws/p2p/{}", relay.port(), relay.identity());
    assert_eq!(relay.address, expected);
    assert!(relay.identity().starts_with("12D3KooW"));
    std::net::TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
}

#[test]
fn prints_every_address_and_the_external_ones() {
    let external = ["--external", "/dns4/relay.example.org/tcp/443/wss"];
    let mut child = command(&[&ANY_PORT[..], &ANY_PORT, &external, &["--quiet"]].concat())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.as_mut().unwrap())
        .lines()
        .take(3)
        .map(Result::unwrap)
        .collect::<Vec<_>>();
    let relay = Running {
        address: lines[0].strip_prefix("listening on ").unwrap().to_owned(),
        child,
    };
    assert!(lines[1].starts_with("listening on /ip4/127.0.0.1/tcp/") && lines[1] != lines[0]);
    assert_eq!(
        lines[2],
        format!(
            "reachable at /dns4/relay.example.org/tcp/443/wss/p2p/{}",
            relay.identity()
        )
    );
    assert_eq!(relay.stop("-TERM"), (Some(0), String::new()), "quiet");
}

#[test]
fn stops_at_both_signals_with_success() {
    for signal in ["-INT", "-TERM"] {
        let relay = Running::start(&[]);
        let (code, said) = relay.stop(signal);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("stopping"), "{said}");
    }
}

#[test]
fn the_identity_is_kept_in_a_private_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.key");
    let with_file = ["--identity", file.to_str().unwrap()];

    let first = Running::start(&with_file);
    let identity = first.identity().to_owned();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    assert_eq!(first.stop("-TERM").0, Some(0));

    let key = fs::read(&file).unwrap();
    assert_eq!(Running::start(&with_file).identity(), identity);
    assert_eq!(fs::read(&file).unwrap(), key);
    assert_ne!(Running::start(&[]).identity(), identity);
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(
        &["--listen-ws", &address],
        &format!("cannot listen on {address}: it is taken"),
    );
}

#[test]
fn an_address_of_another_machine_is_one_clear_line() {
    // From the block reserved for documentation, so no machine has it.
    refused(&["--listen-ws", "192.0.2.1:9091"], "cannot listen on 192.0.2.1:9091");
}

#[test]
fn a_key_file_that_cannot_be_used_is_one_clear_line_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let refused =
        |file: &Path, because: &str| refused(&[&ANY_PORT[..], &["--identity", &text(file)]].concat(), because);

    for bytes in [&b""[..], b"no key", &[8, 1, 18, 64, 1, 2, 3]] {
        fs::write(path("corrupt"), bytes).unwrap();
        refused(&path("corrupt"), "holds no libp2p key");
        assert_eq!(fs::read(path("corrupt")).unwrap(), bytes);
    }
    refused(folder.path(), "cannot read the identity file");
    refused(&path("no such folder/relay.key"), "cannot create the identity file");
}

#[test]
fn wrong_arguments_exit_with_2_and_name_the_argument() {
    for (arguments, named) in [
        (&["--listen-ws", "localhost"][..], "--listen-ws"),
        (&["--external", "https://relay.example.org"], "no multiaddress"),
        (
            &[
                "--external",
                "/ip4/1.2.3.4/tcp/1/ws/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X",
            ],
            "leave out /p2p",
        ),
        (&["--external", ""], "it is empty"),
        (&["--max-circuit-minutes", "0"], "--max-circuit-minutes"),
        (&["--max-reservations", "0"], "--max-reservations"),
        (&["--max-reservations", "1000001"], "--max-reservations"),
        (&["--max-circuits", "0"], "--max-circuits"),
        (&["--max-circuits-per-peer", "0"], "--max-circuits-per-peer"),
        (&["--no-such-thing"], "--no-such-thing"),
    ] {
        let output = command(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(named), "{said}");
        assert!(output.stdout.is_empty());
    }
}

/// What a process has used at most, in KiB.
#[cfg(target_os = "linux")]
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_message_that_announces_too_much_is_hung_up_on_and_costs_no_memory() {
    use std::{io::Write as _, net::TcpStream, time::Duration};

    let relay = Running::start(&[]);
    let mut socket = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = [
        "GET / HTTP/1.1",
        "Host: relay",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "\r\n",
    ];
    socket.write_all(request.join("\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));

    // Binary, final, masked, 200 MiB long; the bytes themselves never come.
    let mut header = vec![0x82, 0xff];
    header.extend((200_u64 * 1024 * 1024).to_be_bytes());
    header.extend([0; 4]);
    socket.write_all(&header).unwrap();
    // A reset is a hanging up as well.
    let _ = socket.read_to_end(&mut Vec::new());
    let peak = peak_memory(relay.child.id());
    assert!(peak < 100 * 1024, "{peak} KiB");
}
