//! Streams of a direct connection: what goes through them, and how they end.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, StreamExt as _, future::join};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_time::Instant;

use crate::{
    bare,
    support::{ECHO, Pair, within},
};

const MIB: usize = 1024 * 1024;

/// Bytes that do not repeat soon, so that none can stand for others.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

/// Sends bytes to the end, and returns the hash of what comes until the end.
async fn exchange(stream: impl AsyncRead + AsyncWrite, bytes: &[u8]) -> io::Result<blake3::Hash> {
    let (mut reader, mut writer) = stream.split();
    let write = async {
        writer.write_all(bytes).await?;
        writer.close().await
    };
    let read = async {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer).await? {
                0 => return io::Result::Ok(hasher.finalize()),
                count => hasher.update(&buffer[..count]),
            };
        }
    };
    let (written, read) = join(write, read).await;
    written.and(read)
}

/// Answers each stream with what came on it, until the test ends.
fn echo(pair: &mut Pair) {
    let mut incoming = pair.listener.streams.accept(ECHO).expect("one acceptor at a time");
    wasm_bindgen_futures::spawn_local(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            wasm_bindgen_futures::spawn_local(async move {
                let mut bytes = Vec::new();
                if stream.read_to_end(&mut bytes).await.is_ok() && stream.write_all(&bytes).await.is_ok() {
                    // Whoever asked may be gone.
                    let _ = stream.close().await;
                }
            });
        }
    });
}

async fn request(pair: &Pair, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut control = pair.dialler.streams.clone();
    let opened = control.open_stream(pair.listener.node.peer, ECHO).await;
    let mut stream = opened.map_err(io::Error::other)?;
    stream.write_all(bytes).await?;
    stream.close().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[wasm_bindgen_test]
async fn ten_megabytes_go_both_ways_at_once() {
    let mut pair = Pair::connect().await;
    let (ours, theirs) = pair.stream().await;
    let (there, back) = (noise(10 * MIB), noise(10 * MIB - 1));
    let (received, arrived) = within("the exchange", join(exchange(ours, &there), exchange(theirs, &back))).await;
    assert_eq!(received.unwrap(), blake3::hash(&back));
    assert_eq!(arrived.unwrap(), blake3::hash(&there));
}

#[wasm_bindgen_test]
async fn a_thousand_streams_in_a_row() {
    let mut pair = Pair::connect().await;
    echo(&mut pair);
    let mut longest = 0.0_f64;
    let start = Instant::now();
    for round in 0..1_000_u32 {
        let sent = round.to_be_bytes();
        let began = Instant::now();
        let answer = within("an answer", request(&pair, &sent)).await;
        let answer = answer.unwrap_or_else(|error| panic!("stream {round}: {error}"));
        longest = longest.max(began.elapsed().as_secs_f64());
        assert_eq!(answer, sent);
    }
    console_log!(
        "1,000 streams in a row: {:.2} ms each, {:.1} ms at most",
        start.elapsed().as_secs_f64(),
        longest * 1e3
    );
}

#[wasm_bindgen_test]
async fn a_hundred_streams_at_once() {
    let mut pair = Pair::connect().await;
    echo(&mut pair);
    let bytes = noise(20_000);
    let requests = (0..100).map(|_| request(&pair, &bytes));
    for answer in within("the answers", futures::future::join_all(requests)).await {
        assert_eq!(answer.unwrap(), bytes);
    }
}

#[wasm_bindgen_test]
async fn more_streams_than_are_allowed_wait_their_turn() {
    let mut pair = Pair::connect().await;
    echo(&mut pair);
    let requests = (0..600).map(|_| request(&pair, b"me too"));
    let answers = within("the answers", futures::future::join_all(requests)).await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.is_ok_and(|answer| answer == b"me too"))
    );
}

#[wasm_bindgen_test]
async fn a_half_that_is_closed_leaves_the_other_open() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    ours.write_all(b"question").await.unwrap();
    within("the end is acknowledged", ours.close()).await.unwrap();
    assert_eq!(
        ours.write_all(b"more").await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    let mut question = Vec::new();
    within("the question", theirs.read_to_end(&mut question)).await.unwrap();
    assert_eq!(question, b"question");
    for part in [&b"ans"[..], b"wer"] {
        within("a part of the answer", theirs.write_all(part)).await.unwrap();
        let mut received = [0; 3];
        within("a part of the answer", ours.read_exact(&mut received))
            .await
            .unwrap();
        assert_eq!(received, part);
    }
    within("the end is acknowledged", theirs.close()).await.unwrap();
    assert_eq!(within("the end", ours.read(&mut [0; 1])).await.unwrap(), 0);
}

#[wasm_bindgen_test]
async fn a_stream_that_is_dropped_unclosed_is_reset() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    ours.write_all(&noise(MIB)).await.unwrap();
    within("a first byte", theirs.read_exact(&mut [0; 1])).await.unwrap();
    drop(ours);
    let error = within("the reset", theirs.read_to_end(&mut Vec::new()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = theirs.write_all(b"anyone?").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = theirs.close().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    drop(theirs);
    // The connection is none the worse for it.
    let (mut ours, mut theirs) = pair.stream().await;
    ours.write_all(b"x").await.unwrap();
    within("a byte", theirs.read_exact(&mut [0; 1])).await.unwrap();
}

#[wasm_bindgen_test]
async fn who_has_read_enough_says_so_and_the_end_still_arrives() {
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    within("the end is acknowledged", ours.close()).await.unwrap();
    // Ours is closed for writing, so this stops the other side's.
    drop(ours);
    let chunk = noise(16 * 1024);
    let stopped = async {
        loop {
            if let Err(error) = theirs.write_all(&chunk).await {
                return error;
            }
        }
    };
    assert_eq!(within("a stop", stopped).await.kind(), io::ErrorKind::BrokenPipe);
    within("the end is acknowledged", theirs.close()).await.unwrap();
}

#[wasm_bindgen_test]
async fn bulk_and_small_writes_are_quick() {
    let tasks = bare::LongTasks::watch().await;
    let (bare_rate, bare_trip) = bare::measure().await;
    let bare_longest = tasks.longest();
    let mut pair = Pair::connect().await;
    let (mut ours, mut theirs) = pair.stream().await;
    const TOTAL: usize = 32 * MIB;
    let bytes = noise(TOTAL);
    let tasks = bare::LongTasks::watch().await;
    let start = Instant::now();
    // Tasks of their own, that each has to be woken for itself.
    wasm_bindgen_futures::spawn_local(async move {
        ours.write_all(&bytes).await.unwrap();
        ours.close().await.unwrap();
    });
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            match theirs.read(&mut buffer).await.unwrap() {
                0 => return total,
                count => total += count,
            }
        }
    };
    let total = within("the transfer", read).await;
    let rate = total as f64 / 1e6 / start.elapsed().as_secs_f64();
    assert_eq!(total, TOTAL);
    console_log!("bulk: {rate:.0} MB/s, a bare data channel {bare_rate:.0} MB/s");
    console_log!(
        "longest task over 50 ms: {:.0} ms, with bare data channels {bare_longest:.0} ms",
        tasks.longest()
    );

    let (mut ours, mut theirs) = pair.stream().await;
    let mut times = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        let ping = async {
            ours.write_all(&[1; 32]).await.unwrap();
            ours.read_exact(&mut [0; 32]).await.unwrap();
        };
        let pong = async {
            let mut buffer = [0; 32];
            theirs.read_exact(&mut buffer).await.unwrap();
            theirs.write_all(&buffer).await.unwrap();
        };
        within("a round trip", join(ping, pong)).await;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    console_log!(
        "round trip of 32 bytes: median {:.2} ms, 99 % {:.2} ms, a bare data channel {bare_trip:.2} ms",
        times[250],
        times[495]
    );
}
