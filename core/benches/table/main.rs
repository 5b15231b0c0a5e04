//! What the engine costs: a table of sessions in bytes and time, and rates of local work, each beside the bar that it has to reach.
//!
//! `npm run bench:core` (or `cargo bench -p gossipstore-core --bench table`); `-- --long` adds the store of a million keys at every
//! number of changes. Bytes are exact and the same on every machine. Times are medians of several rounds on one thread of whatever
//! machine this is, which is printed.

mod workload;

use std::{
    env, fs,
    time::{Duration, Instant},
};

use gossipstore_core::replica::{Config, Write};
use workload::{Cost, Node, config, key, session, value};

/// Bytes of key and value, and what the bars allow beside them.
const PAYLOAD: usize = 12 + 50;

fn main() {
    let long = env::args().any(|arg| arg == "--long");
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name"));
    println!(
        "Machine: {}",
        model.map_or("unknown", |model| model.trim_start_matches(['\t', ' ', ':']))
    );
    println!(
        "Command: cargo bench -p gossipstore-core --bench table{}",
        if long { " -- --long" } else { "" }
    );
    println!("Keys of 12 bytes, values of 50 random bytes.\n");
    let mut bars = Bars::default();
    local_work(&mut bars);
    whole_stores(&mut bars);
    sessions(
        &mut bars,
        if long {
            &[10_000, 100_000, 1_000_000]
        } else {
            &[10_000, 100_000]
        },
    );
    worn(&mut bars);
    bars.print();
}

/// What has to be reached, and what was.
#[derive(Default)]
struct Bars(Vec<(String, f64, f64, bool)>);

impl Bars {
    fn at_least(&mut self, what: &str, bar: f64, measured: f64) {
        self.0.push((what.into(), bar, measured, measured >= bar));
    }

    fn at_most(&mut self, what: &str, bar: f64, measured: f64) {
        self.0.push((what.into(), bar, measured, measured <= bar));
    }

    fn print(&self) {
        println!("| bar | to reach | measured | |\n|---|---:|---:|---|");
        for (what, bar, measured, held) in &self.0 {
            println!(
                "| {what} | {bar:.2} | {measured:.2} | {} |",
                if *held { "holds" } else { "falls short" }
            );
        }
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn local_work(bars: &mut Bars) {
    const KEYS: usize = 100_000;
    const ROUNDS: usize = 5;
    // Keys in an order that has nothing to do with theirs.
    let keys: Vec<_> = (0..KEYS).map(|at| key((at * 7_919) % KEYS)).collect();
    let values: Vec<_> = (0..KEYS).map(|at| value(at as u64)).collect();
    let write = |at: usize| {
        vec![Write::Put {
            key: keys[at].clone(),
            value: values[at].clone(),
            context: None,
        }]
    };
    let (mut inserts, mut overwrites, mut gets, mut scans) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let mut node = Node::new(1);
        inserts.push(rate(KEYS, || (0..KEYS).for_each(|at| node.transact(write(at)))));
        overwrites.push(rate(KEYS, || {
            (0..KEYS).for_each(|at| node.transact(write(KEYS - 1 - at)))
        }));
        let mut bytes = 0;
        gets.push(rate(KEYS, || {
            bytes += keys
                .iter()
                .map(|key| node.replica.get(key).map_or(0, |value| value.len()))
                .sum::<usize>();
        }));
        scans.push(rate(KEYS, || {
            bytes += node
                .replica
                .scan(&Default::default())
                .map(|item| item.value.len())
                .sum::<usize>()
        }));
        assert_eq!(bytes, 2 * KEYS * 50);
    }
    println!("Local work, {KEYS} keys, thousands a second, one transaction a put:\n");
    println!("| new keys | overwrites | gets | scanned |\n|---:|---:|---:|---:|");
    let [inserts, overwrites, gets, scans] = [inserts, overwrites, gets, scans].map(median);
    println!(
        "| {:.0} | {:.0} | {:.0} | {:.0} |\n",
        inserts / 1e3,
        overwrites / 1e3,
        gets / 1e3,
        scans / 1e3
    );
    bars.at_least("puts of new keys, thousands a second", 1_000.0, inserts / 1e3);
    bars.at_least("puts over keys, thousands a second", 1_000.0, overwrites / 1e3);
    bars.at_least("gets, thousands a second", 3_000.0, gets / 1e3);
}

fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

fn whole_stores(bars: &mut Bars) {
    let rounds = |mut run: Box<dyn FnMut() -> Cost>| {
        let mut costs: Vec<Cost> = (0..3).map(|_| run()).collect();
        costs.sort_by_key(|cost| cost.time);
        costs[1]
    };
    let mut full = Node::new(1);
    full.fill(1_000_000);
    let fresh = rounds(Box::new(move || session(&mut full, &mut Node::new(2))));
    let merge = rounds(Box::new(|| {
        let (mut a, mut b) = (Node::new(1), Node::new(2));
        a.fill(100_000);
        b.fill(100_000);
        session(&mut a, &mut b)
    }));
    println!("Whole stores:\n\n| what | bytes | time, ms | longest turn, ms |\n|---|---:|---:|---:|");
    for (what, cost) in [
        ("a fresh replica takes in 1,000,000 keys", fresh),
        ("two replicas wrote the same 100,000 keys", merge),
    ] {
        println!(
            "| {what} | {} | {:.0} | {:.1} |",
            cost.bytes,
            millis(cost.time),
            millis(cost.longest_turn)
        );
    }
    println!();
    bars.at_most("fresh replica, 1,000,000 keys, ms", 3_000.0, millis(fresh.time));
    bars.at_most("the same 100,000 keys written twice, ms", 250.0, millis(merge.time));
    bars.at_most(
        "longest turn, ms",
        8.0,
        millis(fresh.longest_turn.max(merge.longest_turn)),
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Insert,
    Overwrite,
    Delete,
    Mixed,
}

fn sessions(bars: &mut Bars, sizes: &[usize]) {
    println!("Sessions after d changes at one of two equal replicas of n keys, bytes both ways (time in ms):\n");
    println!(
        "| n | d | order | insert | overwrite | delete | 80/10/10 mixed | overwrite, ring lost |\n|---:|---:|---|---:|---:|---:|---:|---:|"
    );
    let mut worst = [0.0_f64; 3];
    for &n in sizes {
        for d in [0, 1, 10, 100, 1_000, 10_000] {
            for scattered in [true, false] {
                let cost = |change, ring| changed(n, d, scattered, change, ring);
                let (insert, overwrite) = (cost(Change::Insert, true), cost(Change::Overwrite, true));
                let (delete, mixed) = (cost(Change::Delete, true), cost(Change::Mixed, true));
                let lost = cost(Change::Overwrite, false);
                let cells = [insert, overwrite, delete, mixed, lost]
                    .map(|cost| format!("{} ({:.1})", cost.bytes, millis(cost.time)));
                println!(
                    "| {n} | {d} | {} | {} |",
                    if scattered { "scattered" } else { "clustered" },
                    cells.join(" | ")
                );
                let allowed = 1.1 * ((PAYLOAD + 16) * d) as f64 + 400.0;
                worst[0] = worst[0].max(insert.bytes.max(overwrite.bytes) as f64 / allowed);
                worst[1] = worst[1].max(delete.bytes as f64 / (8 * d + 400) as f64);
                if d == 0 {
                    worst[2] = worst[2].max(insert.bytes as f64);
                }
            }
        }
    }
    println!();
    bars.at_most("inserts and overwrites, share of 1.1 x 78 d + 400 bytes", 1.0, worst[0]);
    bars.at_most("deletes, share of 8 d + 400 bytes", 1.0, worst[1]);
    bars.at_most("equal stores, bytes", 400.0, worst[2]);
}

fn changed(n: usize, d: usize, scattered: bool, change: Change, ring: bool) -> Cost {
    let ring_records = if ring { config(1).ring_records } else { 0 };
    let mut a = Node::with(Config {
        ring_records,
        ..config(1)
    });
    a.fill(n);
    let mut b = Node::new(2);
    session(&mut a, &mut b);
    for i in 0..d {
        let at = if scattered { (i * 9_973) % n } else { i % n };
        let what = match (change, i % 10) {
            (Change::Mixed, 0) => Change::Insert,
            (Change::Mixed, 1) => Change::Delete,
            (Change::Mixed, _) => Change::Overwrite,
            (change, _) => change,
        };
        match what {
            Change::Insert => a.put(n + at, i as u64),
            Change::Delete => a.delete(at),
            _ => a.put(at, (n + i) as u64),
        }
    }
    session(&mut a, &mut b)
}

/// 1,000 keys overwritten a hundred times, deleted and written again, beside the same keys written once.
fn worn(bars: &mut Bars) {
    const KEYS: usize = 1_000;
    let mut once = Node::new(1);
    (0..KEYS).for_each(|at| once.put(at, at as u64));
    let mut worn = Node::new(1);
    for round in 0..100 {
        (0..KEYS).for_each(|at| worn.put(at, (round * KEYS + at) as u64));
    }
    (0..KEYS).for_each(|at| worn.delete(at));
    (0..KEYS).for_each(|at| worn.put(at, at as u64));
    let bytes = |node: &mut Node| session(node, &mut Node::new(9)).bytes as f64;
    let ratio = bytes(&mut worn) / bytes(&mut once);
    println!(
        "A store whose 1,000 keys were overwritten 100 times, deleted and written again takes {ratio:.3} x the bytes of one that wrote them once.\n"
    );
    bars.at_most("worn store, x one written once", 1.05, ratio);
}
