//! A replica opened from what storage kept.
//!
//! Two replicas write and meet; every step of the first goes to its disk as one batch. Opened from the batches up to any moment,
//! the replica must be the one of that moment. Then the script damages the image: batches are lost, doubled, swapped, what stands in
//! them is altered. Opened from that, there must be an error or a replica that is consistent and works.

use gossipstore_core::{
    causality::{Dots, Frontier, Kind, Tip, Value},
    id::{AuthorId, Dot, Peer, TxnHash},
    replica::{Config, Input, Key},
    store::{Batch, Removed, StoredEntry},
    time::Hlc,
};

use crate::{
    host::{Host, State, config, exchange, key},
    tape::Tape,
};

/// The most steps of the history.
const STEPS_MAX: usize = 24;

/// The most damages to an image.
const DAMAGES_MAX: usize = 4;

/// Plays the script: the history, then the damage.
pub fn run(script: &[u8]) {
    let mut tape = Tape::new(script);
    let config = config(1, &mut tape);
    let (disk, moments) = history(config.clone(), &mut tape);
    let again = Config {
        seed: [3; 32],
        ..config
    };
    let now = Host::new(again.clone()).now;
    let (stored, state) = &moments[usize::from(tape.byte()) % moments.len()];
    let host = Host::open(again.clone(), now, disk[..*stored].to_vec()).expect("the disk keeps what it was given");
    assert_eq!(host.state(), *state);

    let mut damage = Damage {
        authors: host.replica.vector().iter().map(|(author, _)| author).collect(),
        tape,
    };
    let mut disk = disk;
    for _ in 0..damage.tape.below(DAMAGES_MAX + 1) {
        damage.strike(&mut disk);
    }
    match Host::open(again, now, disk) {
        Ok(mut host) => host.check_works(),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is on the disk in the end, and what was shown when so many batches were stored.
fn history(config: Config, tape: &mut Tape<'_>) -> (Vec<Batch>, Vec<(usize, State)>) {
    let other = Config {
        seed: [2; 32],
        ..config.clone()
    };
    let (mut host, mut other) = (Host::new(config), Host::new(other));
    let mut moments = vec![(0, host.state())];
    for _ in 0..tape.below(STEPS_MAX + 1) {
        let (step, key) = (tape.below(6), key(tape.byte()));
        match step {
            0 | 1 => host.put(key, &[tape.byte()], None),
            2 => other.put(key, &[tape.byte()], None),
            3 => host.delete(key, None),
            4 => other.delete(key, None),
            _ => meet(&mut host, &mut other),
        }
        moments.push((host.disk().len(), host.state()));
    }
    (host.disk().to_vec(), moments)
}

fn meet(a: &mut Host, b: &mut Host) {
    let peer = Peer(0);
    a.feed(Input::PeerUp { peer });
    b.feed(Input::PeerUp { peer });
    exchange(a, b, peer);
    a.feed(Input::PeerDown { peer });
    b.feed(Input::PeerDown { peer });
}

/// Draws damage from the script.
struct Damage<'a> {
    /// Those of the history.
    authors: Vec<AuthorId>,
    tape: Tape<'a>,
}

impl Damage<'_> {
    fn strike(&mut self, disk: &mut Vec<Batch>) {
        if disk.is_empty() {
            disk.push(Batch::default());
        }
        let (at, count) = (usize::from(self.tape.byte()) % disk.len(), disk.len());
        let batch = &mut disk[at];
        match self.tape.below(14) {
            0 => drop(disk.remove(at)),
            1 => {
                let again = batch.clone();
                disk.insert(at, again);
            }
            2 => disk.swap(at, (at + 1) % count),
            3 => drop(batch.entries.pop()),
            4 => drop(batch.removed.pop()),
            5 => drop(batch.vector.pop()),
            6 => batch.frontier = Frontier::default(),
            7 => {
                batch.frontier = Frontier::new(self.dots().iter().map(|dot| Tip {
                    dot: *dot,
                    hash: TxnHash([1; 16]),
                }))
            }
            8 => batch.vector.push((self.author(), self.tape.number())),
            9 => batch.removed.push(Removed {
                dot: self.dot(),
                key: Key::from("key"),
                bytes: 1,
            }),
            10 => batch.records.push((self.dot(), self.dots())),
            11 => batch.entries.push(self.entry()),
            12 => batch.entries.iter_mut().for_each(|entry| entry.removes = self.dots()),
            _ => batch.entries.iter_mut().for_each(|entry| entry.dot = self.dot()),
        }
    }

    fn entry(&mut self) -> StoredEntry {
        StoredEntry {
            dot: self.dot(),
            key: Key::from(String::from_utf8_lossy(self.tape.bytes())),
            body: Value::from(self.tape.bytes()).into(),
            hlc: Hlc(self.tape.number()),
            removes: self.dots(),
            kind: [Kind::Value, Kind::Counter][self.tape.below(2)],
        }
    }

    /// One of the history, or another.
    fn author(&mut self) -> AuthorId {
        let at = self.tape.below(4);
        self.authors.get(at).copied().unwrap_or(AuthorId([at as u8; 16]))
    }

    fn dot(&mut self) -> Dot {
        Dot::new(self.author(), self.tape.number())
    }

    fn dots(&mut self) -> Dots {
        (0..self.tape.below(3)).map(|_| self.dot()).collect()
    }
}
