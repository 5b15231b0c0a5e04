//! Goal: what lies on a disk is the replica, takes little more than what lives, and damage to it is told. Method: a replica beside a
//! map of records, opened again from them; then one thing is done to the records.
//!
//! After a deliberate change of the format (with its version, and a way to read the one before), write the vectors anew with
//! `GOSSIPSTORE_WRITE_VECTORS=1 cargo test -p gossipstore-core --test disk`.

mod support;

use gossipstore_core::{
    causality::{Event, Op, Txn},
    disk::{
        BackupError, Disk, DiskError, FORMAT, FORMAT_FIRST, Glimpse, Glimpsed, INLINE_BYTES_MAX, Leisure, Membership,
        Reading, Sizes, Transaction, export, import,
    },
    id::{AuthorId, Dot, StoreId},
    membership::Secret,
    replica::{Body, Command, Input, Key, Kind, Opened, Opening, OpeningError, Replica, Scan, Value, Write},
    store::{Batch, BatchId, Removed, StoredEntry, Totals},
    time::Hlc,
    wire::{Gossip, VALUE_BYTES_MAX},
};
use support::{
    Driver, config,
    golden::{Vectors, hex, recorded},
    kept::{Kept, Records, SMALL, call, delete, put, store},
};

impl Kept {
    /// Takes the disk over from whoever has it.
    fn seize(&mut self) -> bool {
        seizure(&self.records).carry_out(&mut self.records)
    }

    /// What is on the disk is what is shown; goes on from there if `again`.
    fn check(&mut self, sizes: Sizes, again: bool) {
        let (replica, disk) = open(&self.records, sizes).expect("an undamaged disk");
        let shown = &self.driver.replica;
        assert_eq!(replica.digest(), shown.digest());
        assert_eq!(replica.frontier(), shown.frontier());
        assert!(replica.live_dots().eq(shown.live_dots()));
        assert!(reading(&replica).eq(&reading(shown)));
        assert_eq!(told(&self.records), Some(shown.store().totals()));
        let read = reading(shown);
        for (key, body, _) in read.iter().step_by(1 + read.len() / 500) {
            let glimpsed = glimpse(&self.records, key).expect("an undamaged disk");
            assert_eq!(glimpsed.map(Body::from).as_ref(), Some(body), "{key:?}");
        }
        for key in ["0", "never there", "zzz"] {
            assert_eq!(
                glimpse(&self.records, key),
                Ok(shown.get(key).and_then(Body::here).cloned()),
                "{key:?}"
            );
        }
        assert_eq!(replica.store().totals(), shown.store().totals());
        if again {
            self.driver.replica = replica;
            self.driver.batches.clear();
            (self.disk, self.taken) = (disk, 0);
        }
    }
}

fn reading(replica: &Replica) -> Vec<(Key, Body, usize)> {
    let all = Scan::default();
    let items = replica.scan(&all);
    items
        .map(|item| (item.key.clone(), item.body.clone(), item.siblings))
        .collect()
}

fn opening(records: &Records, sizes: Sizes) -> Result<Option<Opened>, OpeningError> {
    let now = Driver::new(1).now;
    Opening::new(config(2), now, Reading::new(store(), sizes)).of(records)
}

fn reading_of(records: &Records) -> Reading {
    let mut reading = Reading::new(store(), SMALL);
    for (key, record) in records {
        reading.take(key, record).expect("an undamaged disk");
    }
    reading
}

fn seizure(records: &Records) -> Transaction {
    reading_of(records).seizure()
}

/// What a key reads as, by the commits and one or two more records.
fn glimpse(records: &Records, key: &str) -> Result<Option<Value>, DiskError> {
    let mut read = Reading::new(store(), SMALL);
    for (key, record) in records.iter().take_while(|(key, _)| key[0] <= 1) {
        read.take(key, record)?;
    }
    let last = |place: Vec<u8>| records.range(..=place).next_back();
    let page = last(Glimpse::place(key)).map(|(place, record)| (&place[..], &record[..]));
    match read.glimpse().read(key, page)? {
        Glimpsed::Value(value) => Ok(value),
        Glimpsed::Away(absent) => {
            let (place, record) = last(absent.place()).expect("there are records");
            absent.read((place, record))
        }
    }
}

/// How much the disk says that there is.
fn told(records: &Records) -> Option<Totals> {
    reading_of(records).totals()
}

fn open(records: &Records, sizes: Sizes) -> Result<(Replica, Disk), String> {
    let opened = opening(records, sizes).map_err(|error| error.to_string())?;
    let Opened { replica, disk } = opened.ok_or("there is nothing")?;
    Ok((replica, disk))
}

/// A fixed walk.
fn walk() -> impl FnMut(usize) -> usize {
    let mut state = 7_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    }
}

#[test]
fn what_is_kept_is_what_is_shown_whatever_was_done_and_whenever_it_was_tidied_up() {
    for sizes in [SMALL, Sizes::default()] {
        let (mut kept, mut random) = (Kept::new(sizes), walk());
        for step in 0..3_000 {
            let key = format!("{:x}", random(400));
            match random(100) {
                0 => kept.driver.command(Command::Clear).expect("clears"),
                1..30 => kept.transact([delete(key)]),
                30..35 => kept.transact((0..20).map(|n| put(format!("{key}/{n}"), vec![n; 20]))),
                35..38 => kept.transact([put(key, vec![step as u8; INLINE_BYTES_MAX + random(9_000)])]),
                _ => kept.transact([put(key, vec![step as u8; random(60)])]),
            }
            while random(3) > 0 && kept.flush(random(2) == 0) {}
            if random(100) == 0 {
                while kept.flush(false) {}
                kept.check(sizes, random(2) == 0);
            }
        }
        kept.settle();
        kept.check(sizes, false);
        let journal = kept.records.keys().filter(|key| key[0] == 1).count();
        assert_eq!((journal, kept.disk.is_untidy()), (0, false));
    }
}

#[test]
fn little_more_is_kept_than_what_lives_and_written_than_what_changes() {
    const KEYS: usize = 10_000;
    let entry = |n: usize, round: u8| put(format!("key/{n:08}"), vec![round; 50]);
    let fair = KEYS * (12 + 50 + 16);
    let mut kept = Kept::new(Sizes::default());
    kept.transact((0..KEYS).map(|n| entry(n, 0)));
    kept.settle();
    println!(
        "{KEYS} entries: {} bytes, {:.2} of key, value and 16",
        kept.bytes(),
        kept.bytes() as f64 / fair as f64
    );
    assert!(kept.bytes() * 100 <= fair * 105, "{} bytes", kept.bytes());

    let (mut random, before) = (walk(), kept.written);
    for round in 1..=10 {
        for _ in 0..KEYS / 100 {
            kept.transact((0..100).map(|_| entry(random(KEYS), round)));
            kept.flush(false);
        }
    }
    kept.settle();
    let written = (kept.written - before) as f64 / (10 * fair) as f64;
    println!(
        "overwritten ten times: {} bytes, {written:.2} times what was changed",
        kept.bytes()
    );
    let ring = config(1).ring_records * 11;
    assert!(kept.bytes() * 100 <= fair * 105 + ring * 100, "{} bytes", kept.bytes());
    assert!(written < 4.0, "{written}");
    assert!(kept.largest < 1024 * 1024, "{}", kept.largest);

    kept.driver.command(Command::Clear).expect("clears");
    kept.settle();
    let pages = kept.records.keys().filter(|key| key[0] == 3).count();
    assert_eq!(pages, 1, "pages without entries are joined");
    kept.check(Sizes::default(), false);
}

#[test]
fn large_values_are_written_once_and_leave_nothing() {
    let mut kept = Kept::new(SMALL);
    let large = vec![7; 100_000];
    kept.transact([put("large", large.clone()), put("a", vec![1])]);
    kept.settle();
    let before = kept.written;
    for n in 0..50 {
        kept.transact([put("largf", vec![n; 10])]);
        kept.settle();
    }
    assert!(kept.written - before < 50_000, "{}", kept.written - before);
    kept.check(SMALL, true);
    assert_eq!(
        kept.driver.replica.get("large").map(|value| value.len()),
        Some(large.len())
    );
    // One that is written and gone before it is flushed, and one that is overwritten.
    kept.transact([put("brief", large.clone())]);
    kept.transact([delete("brief"), put("large", vec![1])]);
    kept.settle();
    assert!(kept.records.keys().all(|key| key[0] != 4));
    assert!(kept.bytes() < 3_000, "{}", kept.bytes());
    kept.check(SMALL, false);

    kept.transact([put("largest", vec![3; VALUE_BYTES_MAX])]);
    kept.settle();
    kept.check(SMALL, false);
}

#[test]
fn a_long_batch_is_made_ready_in_turns_and_written_as_several_commits_of_one_transaction() {
    let sizes = Sizes {
        commit_bytes: 1_000,
        prepared_bytes: 10_000,
        ..SMALL
    };
    let mut kept = Kept::new(sizes);
    kept.transact([put("before", vec![1]), put("large", vec![2; INLINE_BYTES_MAX + 1])]);
    kept.flush(false);
    let before = kept.records.clone();
    kept.transact([put("before", vec![2]), put("large", vec![3; INLINE_BYTES_MAX + 1])]);
    kept.transact((0..500).map(|n| put(format!("key/{n:04}"), vec![7; 100])));
    let mut turns = 1;
    while kept.records == before {
        assert!(kept.flush(false), "there is more to come");
        // What is written meanwhile goes with it.
        kept.transact([put("meanwhile", vec![turns])]);
        turns += 1;
    }
    assert!((8..30).contains(&turns), "{turns}");
    let commits: Vec<_> = kept.records.iter().filter(|(key, _)| key[0] == 1).collect();
    assert!(commits.len() > 50, "{}", commits.len());
    assert!(commits.iter().all(|(_, record)| record.len() < 1_200));
    let expected = u64::from(turns - 2);
    let (replica, _) = open(&kept.records, sizes).expect("an undamaged disk");
    assert_eq!(replica.store().totals().keys, 503);
    assert_eq!(
        replica
            .get("meanwhile")
            .and_then(Body::here)
            .map(|value| u64::from(value[0])),
        Some(expected)
    );
    kept.flush(false);
    kept.check(sizes, false);
    kept.settle();
    kept.check(sizes, true);
    let commits = kept.records.keys().filter(|key| key[0] == 1).count();
    assert_eq!(commits, 0);
}

#[test]
fn what_a_long_batch_adds_and_removes_is_dead_whichever_commit_tells_of_it() {
    let author = AuthorId([7; 16]);
    let entry = |n: u64, removes: Option<u64>| StoredEntry {
        dot: Dot::new(author, n),
        key: format!("key {n}").as_str().into(),
        body: Value::from(vec![n as u8; 5_000]).into(),
        kind: Kind::Value,
        hlc: Hlc(n),
        removes: removes.map(|n| Dot::new(author, n)).into_iter().collect(),
    };
    let removed = |n: u64| Removed {
        dot: Dot::new(author, n),
        key: format!("key {n}").as_str().into(),
        bytes: 5_000,
    };
    // 2 supersedes 1, and nothing says so of 4, which is taken to be dead, nor of 5, whose value has come again as well.
    let entries = [entry(2, Some(1)), entry(3, None), entry(1, None), entry(4, None)];
    let batch = |entries: Vec<StoredEntry>| Batch {
        entries,
        healed: vec![entry(5, None)],
        removed: [1, 4, 5].map(removed).into(),
        vector: vec![(author, 5)],
        ..Batch::default()
    };
    let reversed = entries.iter().rev().cloned().collect();
    for batch in [batch(entries.to_vec()), batch(reversed)] {
        for commit_bytes in [1, 1_000_000] {
            let mut disk = Disk::new(store(), Sizes { commit_bytes, ..SMALL });
            disk.take(BatchId(0), batch.clone());
            let empty = Driver::with(config(1)).replica;
            let (last, transaction) = disk.next(empty.store(), Leisure::None).expect("a transaction");
            assert_eq!(last, Some(BatchId(0)));
            let mut records = Records::new();
            assert!(transaction.carry_out(&mut records));
            let bodies = records.keys().filter(|key| key[0] == 4).count();
            assert_eq!(bodies, 2, "of those that live");
            for n in 1..=5 {
                let read = glimpse(&records, &format!("key {n}")).expect("an undamaged disk");
                assert_eq!(read.is_some(), [2, 3].contains(&n), "{n}");
            }
            let kept = reading_of(&records)
                .finish()
                .expect("an undamaged disk")
                .expect("a replica");
            let live: Vec<_> = kept.entries.iter().map(|lying| lying.entry.dot.n).collect();
            assert_eq!(live, [2, 3]);
        }
    }
}

#[test]
fn what_died_lately_is_remembered_after_a_restart() {
    let mut kept = Kept::new(SMALL);
    for n in 0..60 {
        kept.transact([put(format!("{n}"), vec![1])]);
        kept.transact([put(format!("{n}"), vec![2]), delete(format!("{}", n / 2))]);
        kept.settle();
    }
    let records = |replica: &Replica| {
        let mut records: Vec<_> = replica.store().records_since(0).collect();
        records.sort_by_key(|(dot, _)| *dot);
        records
    };
    let before = records(&kept.driver.replica);
    assert!(before.len() > 90);
    kept.check(SMALL, true);
    assert_eq!(records(&kept.driver.replica), before);
    let segments = kept.records.keys().filter(|key| key[0] == 2).count();
    assert!((1..=16).contains(&segments), "{segments}");
}

#[test]
fn who_has_the_disk_taken_over_cannot_write_any_more_whatever_is_tidied_up_since() {
    for (writes, is_tidied) in [(0, false), (1, false), (50, false), (50, true)] {
        let mut first = Kept::new(SMALL);
        for n in 0..writes {
            first.transact([put(format!("key {n}"), *b"first")]);
            first.flush(false);
        }
        if is_tidied {
            first.settle();
        }
        // It writes once more after the other has read.
        let late = seizure(&first.records);
        first.transact([put("late", *b"first")]);
        first.flush(false);
        assert!(!late.carry_out(&mut first.records), "all is to be read again");
        assert!(first.seize());

        let (replica, disk) = open(&first.records, SMALL).expect("an undamaged disk");
        let mut second = Kept::new(SMALL);
        second.records = first.records.clone();
        (second.driver.replica, second.disk) = (replica, disk);
        second.driver.batches.clear();
        for n in 0..100 {
            second.transact([put(format!("key {n}"), *b"second")]);
            second.flush(n % 10 == 0);
        }
        second.settle();
        second.check(SMALL, false);
        // What the first still tidies up, or writes.
        first.records = second.records.clone();
        let book = first.disk.clone();
        assert!(!first.flush(true));
        first.disk = book;
        first.transact([put("late", *b"too late")]);
        assert!(!first.flush(false));
        assert_eq!(first.records, second.records);
        // The second again, and all at once.
        for _ in 0..3 {
            assert!(second.seize());
        }
        assert!(!second.flush(true) || writes == 0);
        second.check(SMALL, true);
        second.settle();
        second.transact([put("last", *b"second")]);
        assert!(second.flush(true));
        second.check(SMALL, false);
    }
}

#[test]
fn damage_is_told() {
    let mut kept = Kept::new(SMALL);
    kept.transact((0..100).map(|n| put(format!("{n:03}"), vec![n; 30])));
    kept.transact([put("large", vec![7; 10_000]), delete("099")]);
    kept.settle();
    // Pages, and a journal that is not worked off.
    for n in 0..5 {
        kept.transact([put(format!("{n:03}"), vec![9]), delete("050")]);
        kept.flush(false);
    }
    let kinds: Vec<u8> = kept.records.keys().map(|key| key[0]).collect();
    assert!((0..=4).all(|kind| kinds.contains(&kind)), "{kinds:?}");

    for (key, record) in &kept.records {
        for at in (0..record.len()).step_by(17) {
            let mut records = kept.records.clone();
            records.get_mut(key).expect("it is there")[at] ^= 0x20;
            let error = opening(&records, SMALL).map(|_| ()).expect_err("it is told");
            assert!(
                matches!(error, OpeningError::Disk(DiskError::Damaged { .. })),
                "{error}"
            );
        }
        let mut records = kept.records.clone();
        records.remove(key);
        // The last commit was perhaps never written, and what died long ago may be forgotten.
        let last = kept.records.keys().rfind(|key| key[0] == 1) == Some(key);
        match (key[0], opening(&records, SMALL)) {
            (0, Err(OpeningError::Disk(DiskError::StateMissing)))
            | (1, Err(OpeningError::Disk(DiskError::CommitMissing(_))))
            | (2, Ok(Some(_)))
            | (3, Err(OpeningError::Disk(DiskError::PageMissing(_)))) => {}
            (1, Ok(Some(_))) if last => {}
            (4, Ok(Some(opened))) => assert_eq!(reading(&opened.replica), reading(&kept.driver.replica)),
            (kind, other) => panic!("kind {kind}: {other:?}"),
        }
        let mut records = kept.records.clone();
        let moved = records.remove(key).expect("it is there");
        records.insert([key.as_slice(), b"0"].concat(), moved);
        assert!(opening(&records, SMALL).is_err());
    }
    let other = Reading::new(StoreId::from_name("other"), SMALL).take(&[0], &kept.records[&[0_u8][..]]);
    assert_eq!(other, Err(DiskError::Store(store())));
}

/// A disk with a record of every kind, and what it reads as.
fn every_kind() -> Kept {
    let mut kept = Kept::new(SMALL);
    kept.transact((0..12).map(|n| put(format!("list/{n:02}"), vec![n; 12])));
    kept.transact([put("large", vec![7; INLINE_BYTES_MAX + 1]), delete("list/03")]);
    kept.transact([Write::Add {
        key: Key::from("likes"),
        amount: 3,
    }]);
    kept.call(1, [put("called", vec![1])]);
    kept.settle();
    kept.transact([put("list/00", vec![1, 2, 3]), put("new", vec![])]);
    kept.call(3, [delete("list/05")]);
    kept.flush(false);
    let membership = Membership {
        secret: Secret::new([1; 32]),
        relays: ["/dns4/relay.example.org/tcp/443/wss".into()].into(),
    };
    assert!(membership.keep().carry_out(&mut kept.records));
    kept
}

/// Has a replica hear of two transactions of one author under one number.
fn hear_fork(kept: &mut Kept, author: u8) {
    for value in [1, 2] {
        let op = Op::Put {
            key: Key::from("forked"),
            value: vec![value].into(),
            kind: Kind::Value,
        };
        let removes = [].into();
        let txn = Txn {
            author: AuthorId([author; 16]),
            first: 1,
            hlc: Hlc(1),
            deps: [].into(),
            events: vec![Event { op, removes }],
        };
        let message = Gossip::encode(&txn, 1_000);
        kept.driver.feed(Input::Gossiped { peer: None, message });
    }
}

#[test]
fn forks_are_known_again() {
    let mut kept = Kept::new(SMALL);
    kept.transact([put("key", vec![1])]);
    // One that is in the state, and one that is in a commit after it.
    hear_fork(&mut kept, 8);
    kept.settle();
    hear_fork(&mut kept, 9);
    kept.flush(false);
    let forks = |replica: &Replica| replica.store().forks().copied().collect::<Vec<_>>();
    let known = forks(&kept.driver.replica);
    assert_eq!(known.len(), 2);
    let (replica, _) = open(&kept.records, SMALL).expect("an undamaged disk");
    assert_eq!(forks(&replica), known);
}

fn vectors(format: u8) -> String {
    format!("disk-{format}")
}

/// The records of the golden vectors of a format.
fn golden(format: u8) -> Records {
    let bytes = |hex: &String| -> Vec<u8> {
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        digits
            .map(|digits| u8::from_str_radix(digits, 16).expect("it is hex"))
            .collect()
    };
    let golden = recorded(&vectors(format), None);
    golden.iter().map(|(key, record)| (bytes(key), bytes(record))).collect()
}

#[test]
fn the_records_are_those_of_the_golden_vectors() {
    let kept = every_kind();
    let records = kept.records.iter().map(|(key, record)| (hex(key), hex(record)));
    let records: Vectors = records.collect();
    assert_eq!(records, recorded(&vectors(FORMAT), Some(&records)));
}

#[test]
fn what_this_format_and_those_before_have_written_is_read_and_gone_on_with() {
    let expected = every_kind().driver.replica;
    for format in FORMAT_FIRST..=FORMAT {
        let mut kept = Kept::new(SMALL);
        kept.records = golden(format);
        assert_eq!(told(&kept.records).is_some(), format > 1);
        let (replica, disk) = open(&kept.records, SMALL).expect("an undamaged disk");
        assert_eq!(reading(&replica), reading(&expected));
        assert_eq!(replica.store().totals(), expected.store().totals());
        let known = [1, 2, 3].map(|n| disk.calls().contains(&call(n)));
        assert_eq!(known, [true, false, true]);

        (kept.driver.replica, kept.disk) = (replica, disk);
        for idle in [false, false, true] {
            kept.transact([put("since", vec![format]), delete("list/07")]);
            kept.flush(idle);
            assert_eq!(told(&kept.records), Some(kept.driver.replica.store().totals()));
            assert_eq!(
                kept.records[&[0_u8][..]][0],
                FORMAT,
                "a version that cannot read on refuses it"
            );
            kept.check(SMALL, false);
        }
        kept.settle();
        kept.check(SMALL, false);
    }
}

#[test]
fn a_file_holds_all_of_a_replica() {
    let mut kept = every_kind();
    kept.transact((0..3_000).map(|n| put(format!("many/{n}"), vec![7; n % 300])));
    let replica = &kept.driver.replica;
    let file = export(store(), replica.store(), |_| None);
    let (id, records) = import(&file).expect("as it was exported");
    let records: Records = records
        .iter()
        .map(|(key, record)| (key.to_vec(), record.to_vec()))
        .collect();
    let (again, disk) = open(&records, SMALL).expect("a replica");
    assert_eq!((id, disk.is_untidy()), (store(), false));
    assert_eq!(reading(&again), reading(replica));
    assert_eq!(
        (again.vector(), again.frontier()),
        (replica.vector(), replica.frontier())
    );
    assert_eq!(export(store(), again.store(), |_| None), file, "the same again");
    let empty = export(store(), Driver::new(1).replica.store(), |_| None);
    let (_, records) = import(&empty).expect("as it was exported");
    let opened = Opening::new(config(2), kept.driver.now, Reading::new(store(), SMALL)).of(records);
    assert!(opened.is_ok_and(|opened| opened.is_some_and(|opened| opened.replica.is_empty())));
}

#[test]
fn a_file_that_is_damaged_cut_short_or_newer_is_refused() {
    let file = export(store(), every_kind().driver.replica.store(), |_| None);
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        let expected = match at {
            0..16 => BackupError::Other,
            16 => BackupError::Version(damaged[16]),
            _ => BackupError::Damaged,
        };
        assert_eq!(import(&damaged).map(|_| ()), Err(expected), "byte {at}");
        let cut = import(&file[..at]).map(|_| ());
        assert!(
            matches!(cut, Err(BackupError::Other | BackupError::Damaged)),
            "cut at {at}"
        );
    }
}
