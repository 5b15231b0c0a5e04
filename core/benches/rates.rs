//! How fast the engine works, on one thread: writes, reads, gossip and sessions, each through the replica's public surface, with
//! a driver that takes every output.
//!
//! `cargo bench -p gossipstore-core --bench rates`, with criterion's own options after `--`; `npm run bench` shows the rates
//! beside the bars.

mod support;

use std::{hint::black_box, time::Duration};

use cpu_time::ThreadTime;
use criterion::{
    BatchSize, Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use gossipstore_core::{
    causality::{self, Event, Op, Tip, Txn, TxnHasher},
    id::{AuthorId, Dot, TxnHash},
    membership::{NONCE_BYTES, Secret},
    replica::{Scan, Write},
    time::Hlc,
    wire::Gossip,
};
use support::{
    authors,
    case::{Case, Kind, Order, Ring},
    node::{Node, meet},
    workload::{key, put, scattered, value},
};

const KEYS: usize = 100_000;

criterion_group! {
    name = rates;
    config = Criterion::default()
        .with_measurement(Processor)
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = puts, membership, gets, scans, gossip, sessions
}
criterion_main!(rates);

/// The time that the processor spends on this thread.
struct Processor;

impl Measurement for Processor {
    type Intermediate = ThreadTime;
    type Value = Duration;

    fn start(&self) -> ThreadTime {
        ThreadTime::now()
    }

    fn end(&self, start: ThreadTime) -> Duration {
        start.elapsed()
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, time: &Duration) -> f64 {
        WallTime.to_f64(time)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// Writes of every key, in an order that is not theirs.
fn writes(seed: usize) -> Vec<Write> {
    let places = (0..KEYS).map(|i| scattered(i, KEYS));
    places.map(|at| put(key(at), value(seed + at))).collect()
}

fn filled() -> Node {
    let mut node = Node::new(1);
    node.fill(KEYS);
    node
}

/// Each put is a transaction: made, gossiped, handed to storage and answered.
fn puts(criterion: &mut Criterion<Processor>) {
    let mut group = criterion.benchmark_group("put");
    group.throughput(Throughput::Elements(KEYS as u64));
    for (name, make) in [("new", (|| Node::new(1)) as fn() -> Node), ("overwrite", filled)] {
        group.bench_function(name, |bencher| {
            let prepare = || (make(), writes(KEYS));
            bencher.iter_batched(
                prepare,
                |(mut node, writes)| {
                    writes.into_iter().for_each(|write| node.transact(vec![write]));
                    node
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// What of a write serves members only: its hash, which is part of the puts above, and its seal, which the driver adds.
fn membership(criterion: &mut Criterion<Processor>) {
    let mut dot = Dot::new(AuthorId([7; 16]), 0);
    let txns = (0..KEYS).map(|at| {
        let deps = [Tip {
            dot,
            hash: TxnHash([7; 16]),
        }];
        dot.n += 1;
        let op = Op::Put {
            key: key(at),
            value: value(at),
            kind: causality::Kind::Value,
        };
        let removes = [].into();
        Txn {
            author: dot.author,
            first: dot.n,
            hlc: Hlc(at as u64),
            deps: deps.into(),
            events: vec![Event { op, removes }],
        }
    });
    let txns: Vec<Txn> = txns.collect();
    let mut group = criterion.benchmark_group("membership");
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function("hash", |bencher| {
        bencher.iter(|| txns.iter().map(TxnHasher::of).max());
    });
    let sealer = Secret::new([7; 32]).sealer();
    let messages: Vec<Vec<u8>> = txns.iter().map(|txn| Gossip::encode(txn, 48 * 1024)).collect();
    group.bench_function("seal", |bencher| {
        bencher.iter(|| {
            let sealed = messages.iter().map(|message| sealer.seal([7; NONCE_BYTES], message));
            sealed.map(|sealed| sealed.len()).sum::<usize>()
        });
    });
}

fn gets(criterion: &mut Criterion<Processor>) {
    let node = filled();
    let keys: Vec<_> = (0..KEYS).map(|i| key(scattered(i, KEYS))).collect();
    let mut group = criterion.benchmark_group("get");
    group.throughput(Throughput::Elements(KEYS as u64));
    group.bench_function("present", |bencher| {
        bencher.iter(|| {
            let lengths = keys
                .iter()
                .map(|key| node.replica.get(key).map_or(0, |value| value.len()));
            lengths.sum::<usize>()
        });
    });
}

fn scans(criterion: &mut Criterion<Processor>) {
    let node = filled();
    let (first, last) = (key(KEYS / 2), key(KEYS / 2 + 1_000));
    let range = Scan {
        gte: Some(&first),
        lt: Some(&last),
        ..Scan::default()
    };
    let prefix = Scan {
        prefix: "key-00012",
        ..Scan::default()
    };
    let mut group = criterion.benchmark_group("scan");
    for (name, scan) in [("range", range), ("prefix", prefix), ("all", Scan::default())] {
        group.throughput(Throughput::Elements(node.replica.scan(&scan).count() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let items = node.replica.scan(black_box(&scan));
                items.map(|item| item.key.len() + item.body.len()).sum::<usize>()
            });
        });
    }
}

/// What others wrote, as gossip brings it: transactions of one write, and of a hundred.
fn gossip(criterion: &mut Criterion<Processor>) {
    let mut writer = Node::new(2);
    writer.gossip = Some(Vec::new());
    writes(0).into_iter().for_each(|write| writer.transact(vec![write]));
    let singles = writer.gossip.unwrap_or_default();
    let hundreds = authors::gossip(1, KEYS);
    let mut group = criterion.benchmark_group("gossip");
    group.throughput(Throughput::Elements(KEYS as u64));
    for (name, messages) in [("one write each", singles), ("a hundred writes each", hundreds)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Node::new(1),
                |mut node| {
                    authors::hear(&mut node, &messages);
                    node
                },
                BatchSize::PerIteration,
            );
        });
    }
}

/// What both engines do for a session after so many changes at one of them.
fn sessions(criterion: &mut Criterion<Processor>) {
    let mut group = criterion.benchmark_group("session");
    for changes in [0, 10, 1_000, 10_000] {
        let case = Case {
            keys: KEYS,
            changes,
            kind: Kind::Overwrite,
            order: Order::Scattered,
            ring: Ring::Kept,
        };
        let (mut changed, mut other) = case.replicas();
        if changes > 0 {
            group.throughput(Throughput::Elements(changes as u64));
        }
        group.bench_function(format!("{changes} changes"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    case.writes().for_each(|write| changed.transact(vec![write]));
                    let start = ThreadTime::now();
                    meet(&mut changed, &mut other);
                    total += start.elapsed();
                }
                total
            });
        });
    }
}
