//! The judge: what each replica must hold, computed from all events ever made.
//!
//! It is asked after every step, so it does not begin anew each time: for each replica it keeps a [`Sight`], what follows from
//! the vector that it last judged, and takes in the events by which the vector has grown.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use crate::{
    causality::{Dots, Key, Kind, counter},
    id::{AuthorId, Dot},
    replica::{Replica, Value, VersionVector},
    store::{Batch, Call},
};

/// What is wrong with a replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// In words.
    pub what: String,
    /// The events that it is about.
    pub dots: Vec<Dot>,
}

impl From<String> for Flaw {
    fn from(what: String) -> Self {
        Self { what, dots: Vec::new() }
    }
}

impl Flaw {
    fn about(dot: Dot, what: String) -> Self {
        Self {
            what,
            dots: [dot].into(),
        }
    }

    /// The same, said of a replica.
    pub(super) fn of(self, replica: usize) -> Self {
        Self {
            what: format!("replica {replica} {}", self.what),
            ..self
        }
    }
}

/// An event as its author made it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// `None` for a delete.
    pub(super) put: Option<Put>,
    pub(super) removes: Dots,
    /// The first and last number of its transaction.
    pub(super) txn: (u64, u64),
    /// What its author had seen.
    pub(super) past: Arc<VersionVector>,
    /// When and where it was made.
    pub(super) at: Moment,
}

/// What an event adds.
#[derive(Clone, Debug)]
pub(super) struct Put {
    key: Key,
    /// The subtotal, if it is a counter's.
    subtotal: Option<i64>,
}

impl Put {
    pub(super) fn new(key: &Key, value: &Value, kind: Kind) -> Self {
        Self {
            key: key.clone(),
            subtotal: counter::decode(value).filter(|_| kind == Kind::Counter),
        }
    }
}

/// A step of the run and the replica that takes it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Moment {
    /// Which step.
    pub step: usize,
    /// Which replica.
    pub replica: usize,
}

/// What a replica with a certain vector must hold.
#[derive(Debug, Default)]
pub(super) struct Sight {
    seen: VersionVector,
    live: BTreeSet<Dot>,
    removed: BTreeSet<Dot>,
}

/// What became of events: when and where.
type Told = Vec<(Dot, Moment, &'static str)>;

/// All events ever made.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    events: BTreeMap<Dot, Made>,
    /// The last dots of the transactions that calls became, each time that they were carried out.
    calls: BTreeMap<Call, Vec<Dot>>,
    /// Those that were carried out again, as they must be when the first time was lost.
    repeated: BTreeSet<Call>,
    /// What became of them where, if somebody wants to be told.
    told: Option<Told>,
}

impl Oracle {
    /// An oracle that can tell the history of an event, if asked to remember it.
    pub(super) fn new(telling: bool) -> Self {
        Self {
            events: BTreeMap::new(),
            calls: BTreeMap::new(),
            repeated: BTreeSet::new(),
            told: telling.then(Told::new),
        }
    }

    /// Notes a local transaction: what its author had seen before, and the batch that it became.
    ///
    /// # Errors
    /// When a dot of it has another author or names another event already.
    pub fn made(&mut self, author: AuthorId, past: &VersionVector, batch: &Batch, at: Moment) -> Result<(), Flaw> {
        let puts = batch.entries.iter().map(|entry| {
            let value = entry.body.here().cloned().unwrap_or_default();
            let put = Put::new(&entry.key, &value, entry.kind);
            (entry.dot, Some(put), entry.removes.clone())
        });
        let deletes = batch.records.iter().map(|(dot, removes)| (*dot, None, removes.clone()));
        let first = past.get(&author) + 1;
        let txn = (
            first,
            past.get(&author) + (batch.entries.len() + batch.records.len()) as u64,
        );
        if let Some(call) = batch.call {
            let dots = self.calls.entry(call).or_default();
            dots.push(Dot::new(author, txn.1));
            if dots.len() > 1 {
                self.repeated.insert(call);
            }
        }
        let past = Arc::new(past.clone());
        for (dot, put, removes) in puts.chain(deletes) {
            if dot.author != author {
                let what = format!("made a transaction of {author:?} that holds {dot:?}");
                return Err(Flaw::about(dot, what));
            }
            let past = Arc::clone(&past);
            let made = Made {
                put,
                removes,
                txn,
                past,
                at,
            };
            if self.events.insert(dot, made).is_some() {
                return Err(Flaw::about(dot, format!("gave the dot {dot:?} to a second event")));
            }
        }
        Ok(())
    }

    /// Notes an event that no replica made.
    pub(super) fn made_up(&mut self, dot: Dot, made: Made) {
        self.events.insert(dot, made);
    }

    /// Whether the event is known.
    pub fn knows(&self, dot: &Dot) -> bool {
        self.events.contains_key(dot)
    }

    /// How many events were made.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none was made.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events that supersede one.
    pub fn removers(&self, dot: &Dot) -> impl Iterator<Item = Dot> {
        let removing = self.events.iter().filter(|(_, made)| made.removes.contains(dot));
        removing.map(|(dot, _)| *dot)
    }

    /// Everything in the past of these events, and they themselves.
    pub(super) fn closure(&self, dots: &[Dot]) -> VersionVector {
        let mut closure = VersionVector::new();
        for dot in dots {
            closure.advance(dot.author, dot.n);
            if let Some(made) = self.events.get(dot) {
                closure.merge(&made.past);
            }
        }
        closure
    }

    /// Whether a replica holds what it must.
    pub(super) fn judge(&mut self, sight: &mut Sight, replica: &Replica, at: Moment) -> Result<(), Flaw> {
        let seen = replica.vector();
        if *seen != sight.seen {
            let mut told = self.told.take();
            let looked = self.look(sight, seen, at, told.as_mut());
            self.told = told;
            looked?;
            self.judge_calls(seen)?;
        }
        if sight.live.iter().copied().eq(replica.live_dots()) {
            return Ok(());
        }
        Self::compare(sight, &replica.live_dots().collect())
    }

    /// Whether no call is seen to have been carried out twice.
    fn judge_calls(&self, seen: &VersionVector) -> Result<(), Flaw> {
        for (call, dots) in self
            .repeated
            .iter()
            .filter_map(|call| Some((call, self.calls.get(call)?)))
        {
            let shown: Vec<Dot> = dots.iter().filter(|dot| seen.covers(dot)).copied().collect();
            if shown.len() > 1 {
                return Err(Flaw {
                    what: format!("shows {call:?} carried out as each of {shown:?}"),
                    dots: shown,
                });
            }
        }
        Ok(())
    }

    /// Whether what a call became is seen.
    pub(super) fn is_carried_out(&self, call: &Call, seen: &VersionVector) -> bool {
        let dots = self.calls.get(call);
        dots.is_some_and(|dots| dots.iter().any(|dot| seen.covers(dot)))
    }

    /// Whether what is live is what it must be when this was seen.
    ///
    /// # Errors
    /// When it is not: what is wrong.
    pub fn judge_state(&self, seen: &VersionVector, live: &BTreeSet<Dot>) -> Result<(), Flaw> {
        let mut sight = Sight::default();
        self.look(&mut sight, seen, Moment::default(), None)?;
        Self::compare(&sight, live)
    }

    fn compare(sight: &Sight, live: &BTreeSet<Dot>) -> Result<(), Flaw> {
        if sight.live == *live {
            return Ok(());
        }
        let extra: Vec<_> = live.difference(&sight.live).copied().collect();
        let lost: Vec<_> = sight.live.difference(live).copied().collect();
        Err(Flaw {
            what: format!("resurrected {extra:?}, lost {lost:?}"),
            dots: extra.into_iter().chain(lost).collect(),
        })
    }

    /// Takes in the events by which a vector has grown.
    fn look(
        &self,
        sight: &mut Sight,
        seen: &VersionVector,
        at: Moment,
        mut told: Option<&mut Told>,
    ) -> Result<(), Flaw> {
        if !seen.dominates(&sight.seen) {
            *sight = Sight::default();
        }
        for (author, upto) in seen.iter() {
            for n in sight.seen.get(&author) + 1..=upto {
                let dot = Dot::new(author, n);
                let Some(made) = self.events.get(&dot) else {
                    return Err(Flaw::about(dot, format!("covers {dot:?}, which nobody made")));
                };
                if made.txn.1 > upto {
                    let what = format!("shows {dot:?} without the rest of its transaction up to {}", made.txn.1);
                    return Err(Flaw::about(dot, what));
                }
                if !seen.dominates(&made.past) || !made.removes.iter().all(|dot| seen.covers(dot)) {
                    return Err(Flaw::about(dot, format!("shows {dot:?} without its past")));
                }
                if made.put.is_some() && !sight.removed.contains(&dot) {
                    sight.live.insert(dot);
                }
                for removed in &made.removes {
                    sight.live.remove(removed);
                    sight.removed.insert(*removed);
                }
                if let Some(told) = &mut told {
                    told.push((dot, at, "visible"));
                    told.extend(made.removes.iter().map(|removed| (*removed, at, "removed")));
                }
            }
        }
        sight.seen = seen.clone();
        Ok(())
    }

    /// Whether a replica that holds what it must shows the counters under each key as their sum.
    pub(super) fn judge_sums(&self, replica: &Replica) -> Result<(), Flaw> {
        let mut keys: BTreeMap<&str, (i128, bool)> = BTreeMap::new();
        let live = replica
            .live_dots()
            .filter_map(|dot| self.events.get(&dot)?.put.as_ref());
        let live: Vec<_> = live.collect();
        for put in &live {
            if let Some(subtotal) = put.subtotal {
                keys.entry(&put.key).or_insert((0, true)).0 += i128::from(subtotal);
            }
        }
        for put in live.iter().filter(|put| put.subtotal.is_none()) {
            if let Some((_, alone)) = keys.get_mut(&*put.key) {
                *alone = false;
            }
        }
        for (key, (sum, alone)) in keys {
            let sum = counter::encode(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64).into();
            let shown = replica.siblings(key).values;
            let times = shown.iter().filter(|sibling| sibling.body == sum).count();
            let others = shown.iter().any(|sibling| sibling.body != sum);
            if times != 1 || others == alone || replica.get(key) != shown.first().map(|sibling| &sibling.body) {
                let what = format!("shows {shown:?} under {key:?}, where the counters are {sum:?} in sum");
                return Err(what.into());
            }
        }
        Ok(())
    }

    /// The maximal transactions within a vector, by their last dots.
    pub fn frontier(&self, seen: &VersionVector) -> Vec<Dot> {
        let lasts: Vec<_> = seen.iter().map(|(author, n)| Dot::new(author, n)).collect();
        let followed = |dot: &Dot| {
            let others = lasts.iter().filter(|last| *last != dot);
            let mut made = others.filter_map(|last| self.events.get(last));
            made.any(|made| made.past.covers(dot))
        };
        lasts.iter().filter(|dot| !followed(dot)).copied().collect()
    }

    /// Who made an event, and what became of it where.
    pub(super) fn history(&self, dot: &Dot) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(made) = self.events.get(dot) {
            let Made {
                put, removes, txn, at, ..
            } = made;
            let what = match put {
                None => "a delete".into(),
                Some(Put { key, subtotal: None }) => format!("a put of {key:?}"),
                Some(Put { key, subtotal: Some(n) }) => format!("a subtotal of {n} under {key:?}"),
            };
            lines.push(format!(
                "{dot:?} is {what} that removes {removes:?}, made in step {} by replica {}; its transaction is {} to {}",
                at.step, at.replica, txn.0, txn.1
            ));
        } else {
            lines.push(format!("{dot:?} was made by nobody"));
        }
        let told = self.told.iter().flatten().filter(|(of, ..)| of == dot);
        lines.extend(told.map(|(_, at, what)| format!("{dot:?} {what} at replica {} in step {}", at.replica, at.step)));
        lines
    }
}
