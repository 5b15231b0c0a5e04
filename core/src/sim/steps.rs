//! The random steps of a schedule: what people, networks, disks, clocks and machines do to replicas.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use super::{
    disk::Disk,
    network::{InFlight, Late},
    oracle::{Flaw, Moment},
    watch,
    world::{World, say},
};
use crate::{
    id::PresenceId,
    mutation::Mutation,
    replica::{Call, Command, CommandId, Input, Key, Value, Write},
};

impl World<'_> {
    pub(super) fn random_step(&mut self) -> Result<(), Flaw> {
        let node = self.random.below(self.nodes.len());
        let other = self.random.below(self.nodes.len());
        let drawn = self.random.below(1_000);
        if drawn < self.profile.mishaps_per_mille {
            return match self.random.below(12) {
                0 | 1 => self.cut(node, other),
                2 => self.cut_unnoticed(node, other),
                3 => self.close(node, other),
                4 => self.part(),
                5 | 6 => self.crash(node),
                7 => self.restore_backup(node),
                8 => self.clone_profile(node, other),
                9 => self.hand_over(node),
                10 => self.take_over(node),
                _ => self.set_clock(node),
            };
        }
        if drawn >= 1_000 - self.profile.late_per_mille {
            return self.deliver_late();
        }
        if self.profile.is(Mutation::DotEvicted) && self.random.percent(2) {
            return self.evict(node);
        }
        if self.hostile.is_some() && self.random.percent(15) {
            self.mislead();
            return Ok(());
        }
        if self.profile.present_percent > 0 && self.random.percent(self.profile.present_percent) {
            return self.present(node);
        }
        match self.random.below(100) {
            0..24 => self.write(node),
            24..32 => self.join(node, other),
            32..59 => self.deliver_frame(),
            59..79 => self.deliver_gossip(),
            79..87 => self.flush(node),
            87..89 => self.read(node),
            89..91 => self.mend(),
            91..94 => self.tick().map(|_| ()),
            _ => self.pass_time(),
        }
    }

    fn write(&mut self, at: usize) -> Result<(), Flaw> {
        let count = self.random.pick(&[1, 1, 1, 2, 5]);
        let mut writes = Vec::new();
        for _ in 0..count {
            let which = self.random.below(self.profile.keys);
            let key = Key::from(format!("key {which}"));
            // The first key is mostly a counter, and deleted more than overwritten: a plain value would end the counting.
            let counts = which == 0;
            if counts && self.random.percent(70) {
                let amount = self.random.below(9) as i64 - 3;
                self.tally.additions += 1;
                let entries = self.nodes[at].replica.siblings(&key).context;
                self.tally.additions_shared += u64::from(entries.dots().len() > 1);
                writes.push(Write::Add { key, amount });
                continue;
            }
            let stale = self.nodes[at]
                .stale
                .clone()
                .filter(|(stale, _)| *stale == key && self.random.percent(50));
            let context = stale.map(|(_, context)| context);
            self.tally.stale_contexts += u64::from(context.is_some());
            if self.random.percent(20) {
                let context = self.nodes[at].replica.siblings(&key).context;
                self.tally.siblings += u64::from(context.dots().len() > 1);
                self.nodes[at].stale = Some((key.clone(), context));
            }
            writes.push(if self.random.percent(if counts { 80 } else { 30 }) {
                Write::Delete { key, context }
            } else {
                let value = self.value();
                Write::Put { key, value, context }
            });
        }
        let command = if self.random.percent(2) {
            Command::Clear
        } else {
            Command::Transact(writes)
        };
        say!(self, Some(at), "is told to {}", told(&command));
        let id = CommandId(self.step as u64);
        let input = if self.random.percent(50) {
            self.tally.calls += 1;
            self.nodes[at].client.call(id, command)
        } else {
            Input::Command { id, command }
        };
        self.feed(at, input)
    }

    /// A tab says something of itself, or is closed.
    fn present(&mut self, at: usize) -> Result<(), Flaw> {
        let number = self.random.number();
        let says = self.random.percent(80);
        self.nodes[at].tab = says.then(|| Value::from(&number.to_le_bytes()[..]));
        self.tally.presences += 1;
        self.say_present(at)
    }

    /// The tab at a replica says what it says of itself.
    fn say_present(&mut self, at: usize) -> Result<(), Flaw> {
        let (id, value) = (tab(at), self.nodes[at].tab.clone());
        let what = if value.is_some() { "present" } else { "gone" };
        say!(self, Some(at), "has its tab {what}");
        self.feed(at, Input::Present { id, value })
    }

    fn value(&mut self) -> Value {
        // Some are written by several, and some are too short to leave memory.
        let bits = self.random.pick(&[64, 64, 64, 1]);
        let number = self.random.number() & (u64::MAX >> (64 - bits));
        let mut value = number.to_le_bytes().to_vec();
        value.resize(self.random.pick(&[8, 60, 60, 200]), 7);
        if self.random.percent(self.profile.large_percent) {
            self.tally.large_values += 1;
            value.resize(33_000 + self.random.below(100_000), 7);
        }
        Value::from(value)
    }

    fn cut(&mut self, a: usize, b: usize) -> Result<(), Flaw> {
        if let Some(peer) = self.network.link(a, b) {
            self.tally.cuts += 1;
            self.lose(a, peer)?;
            self.lose(b, peer)?;
        }
        Ok(())
    }

    /// A link is cut and only one end is told; the other goes on speaking to nobody.
    fn cut_unnoticed(&mut self, told: usize, other: usize) -> Result<(), Flaw> {
        if let Some(peer) = self.network.link(told, other) {
            self.tally.cuts_unnoticed += 1;
            self.lose(told, peer)?;
        }
        Ok(())
    }

    /// Nothing gets through from one replica to the other any more; the other direction stays as it is.
    fn close(&mut self, from: usize, to: usize) -> Result<(), Flaw> {
        if from == to {
            return Ok(());
        }
        say!(self, None, "nothing gets through from {from} to {to}");
        self.tally.directions_closed += 1;
        self.network.close(from, to);
        Ok(())
    }

    /// The network falls into two parts.
    fn part(&mut self) -> Result<(), Flaw> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for at in 0..self.nodes.len() {
            if self.random.percent(50) {
                left.push(at);
            } else {
                right.push(at);
            }
        }
        say!(self, None, "nothing gets through between {left:?} and {right:?}");
        self.tally.partitions += 1;
        for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
            self.network.close(a, b);
            self.network.close(b, a);
        }
        Ok(())
    }

    /// All directions open, and those that speak to nobody notice.
    pub(super) fn mend(&mut self) -> Result<(), Flaw> {
        self.network.open();
        for (at, peer) in self.network.deceived() {
            self.lose(at, peer)?;
        }
        Ok(())
    }

    pub(super) fn deliver_frame(&mut self) -> Result<(), Flaw> {
        let busy: Vec<_> = self.network.busy().collect();
        if busy.is_empty() {
            return Ok(());
        }
        let (to, peer) = self.random.pick(&busy);
        let copied = !self.healed && self.profile.late_per_mille > 0 && self.random.percent(10);
        let Some((frame, empty)) = self.network.receive(to, peer, copied) else {
            return Ok(());
        };
        self.receive(to, peer, frame.bytes)?;
        if empty {
            self.feed(frame.from, Input::Drained { peer })?;
        }
        Ok(())
    }

    pub(super) fn deliver_gossip(&mut self) -> Result<(), Flaw> {
        let duplicate = !self.healed && self.random.percent(self.profile.duplicate_percent);
        let Some(message) = self.network.overhear(&mut self.random, duplicate) else {
            return Ok(());
        };
        self.tally.gossip_duplicated += u64::from(duplicate);
        if !self.healed && self.random.percent(self.profile.loss_percent) {
            self.tally.gossip_lost += 1;
            say!(
                self,
                Some(message.to),
                "never hears {} from {}",
                watch::message(&message.bytes),
                message.from
            );
            return Ok(());
        }
        self.hear(message)
    }

    fn deliver_late(&mut self) -> Result<(), Flaw> {
        match self.network.late(&mut self.random) {
            Some(Late::Frame(peer, InFlight { to, bytes, .. })) => {
                self.tally.late_frames += 1;
                say!(self, Some(to), "meets a frame of a link that is gone");
                self.receive(to, peer, bytes)
            }
            Some(Late::Gossip(message)) => {
                self.tally.late_gossip += 1;
                self.hear(message)
            }
            None => Ok(()),
        }
    }

    fn pass_time(&mut self) -> Result<(), Flaw> {
        self.now.0 += self.random.pick(&[1, 1, 50, 50, 400, 400, 2_000, 2_000, 40_000]);
        self.tick().map(|_| ())
    }

    fn set_clock(&mut self, at: usize) -> Result<(), Flaw> {
        let millis = self.nodes[at].clock.set(&mut self.random);
        say!(self, Some(at), "has its clock set to {millis} ms beside the true time");
        self.tally.clock_jumps += 1;
        Ok(())
    }

    /// The bug that [`Mutation::DotEvicted`] names. The oracle is asked after whatever comes next.
    fn evict(&mut self, at: usize) -> Result<(), Flaw> {
        let dot = self.nodes[at].replica.live_dots().next();
        if let Some(dot) = dot {
            say!(self, Some(at), "evicts {dot:?}");
            self.nodes[at].replica.forget(&dot);
        }
        Ok(())
    }

    /// The process dies. What was on its way to the disk may have reached it, though nobody was told.
    fn crash(&mut self, at: usize) -> Result<(), Flaw> {
        let kept = self.random.percent(50);
        let disk = &self.nodes[at].disk;
        match (disk.is_writing(), kept) {
            (true, true) => self.tally.crashes_torn += 1,
            (true, false) => self.tally.crashes_with_loss += 1,
            (false, _) if disk.is_waiting() => self.tally.crashes_with_loss += 1,
            (false, _) => self.tally.crashes_clean += 1,
        }
        let fate = if kept { "kept" } else { "lost" };
        say!(self, Some(at), "crashes; what was on its way to the disk is {fate}");
        self.nodes[at].disk.crash(kept);
        self.reopen(at)?;
        self.call_again(at)
    }

    /// The store is closed with all of it on the disk, and another process goes on from there.
    fn hand_over(&mut self, at: usize) -> Result<(), Flaw> {
        while self.nodes[at].disk.is_waiting() {
            self.flush(at)?;
        }
        let replica = &self.nodes[at].replica;
        // What waits for a merge is not carried out: its caller asks again.
        let last = replica.last_event().filter(|_| replica.is_durable());
        say!(self, Some(at), "hands over to another process");
        self.tally.hand_overs += 1;
        self.reopen(at)?;
        if let Some(last) = last
            && !self.nodes[at].replica.go_on_from(last)
        {
            return Err(format!("replica {at} cannot go on from {last:?}").into());
        }
        self.call_again(at)
    }

    /// Another process takes the disk from one that is alive, and was taken for dead.
    fn take_over(&mut self, at: usize) -> Result<(), Flaw> {
        say!(self, Some(at), "has its disk taken over");
        let arrives = self.random.percent(50);
        let node = &mut self.nodes[at];
        let refused = node.disk.seize(node.replica.store(), arrives);
        self.tally.take_overs += 1;
        self.tally.writes_refused += u64::from(refused.map_err(|flaw| flaw.of(at))?);
        self.reopen(at)?;
        self.call_again(at)
    }

    /// The client asks again for what the replica that died has not answered.
    fn call_again(&mut self, at: usize) -> Result<(), Flaw> {
        let node = &self.nodes[at];
        let lost = |call: &&Call| !self.oracle.is_carried_out(call, node.replica.vector());
        if self.is_judged()
            && let Some(call) = node.client.done.iter().find(lost)
        {
            return Err(format!("replica {at} has lost {call:?}, which was answered").into());
        }
        for input in node.client.again() {
            if let Input::Call { call, .. } = &input {
                self.tally.calls_repeated += 1;
                self.tally.calls_known += u64::from(self.nodes[at].disk.knows(call));
            }
            self.feed(at, input)?;
        }
        Ok(())
    }

    /// An old image of the disk is put back.
    fn restore_backup(&mut self, at: usize) -> Result<(), Flaw> {
        let transactions = self.random.below(self.nodes[at].disk.len() + 1);
        say!(self, Some(at), "is put back to an image of {transactions} transactions");
        self.tally.restores += 1;
        let image = self.nodes[at].disk.image(transactions);
        self.replace_disk(at, image)
    }

    /// A profile is copied onto another machine.
    fn clone_profile(&mut self, from: usize, to: usize) -> Result<(), Flaw> {
        if from == to {
            return Ok(());
        }
        say!(self, Some(to), "is replaced by a copy of {from}");
        self.tally.clones += 1;
        let disk = &self.nodes[from].disk;
        let image = disk.image(disk.len());
        self.replace_disk(to, image)?;
        if self.profile.is(Mutation::AuthorCloned) {
            let author = self.nodes[from].replica.author();
            self.nodes[to].replica.resume_author(author);
        }
        Ok(())
    }

    fn replace_disk(&mut self, at: usize, disk: Disk) -> Result<(), Flaw> {
        self.nodes[at].disk = disk;
        self.nodes[at].client.forget();
        self.reopen(at)
    }

    /// A replica is opened again from its disk, and its peers notice that it was gone.
    fn reopen(&mut self, at: usize) -> Result<(), Flaw> {
        for (peer, other) in self.network.links_of(at) {
            self.network.give_up(at, peer);
            self.tally.sessions_cut += u64::from(self.nodes[at].receiving.remove(&peer));
            self.lose(other, peer)?;
        }
        let config = self.profile.config(self.random.bytes());
        let node = &mut self.nodes[at];
        node.clock.reopen();
        let author = node.replica.author();
        let opened = node.disk.open(config, node.clock.read(self.now), self.profile.disk);
        let mut replica = opened.map_err(|flaw| flaw.of(at))?;
        if self.profile.is(Mutation::AuthorResumed) {
            replica.resume_author(author);
        }
        node.reopen(replica);
        say!(self, Some(at), "opens with {}", self.state(at));
        self.judge(at)?;
        match self.nodes[at].tab {
            Some(_) => self.say_present(at),
            None => Ok(()),
        }
    }

    /// The hostile hand does something.
    fn mislead(&mut self) {
        let at = self.nodes.len() - 1;
        let links = self.network.links_of(at);
        let moment = Moment {
            step: self.step,
            replica: at,
        };
        if let Some(hostile) = &mut self.hostile {
            let acts = hostile.act(&links, moment, &mut self.random, &mut self.oracle);
            self.act(at, acts);
        }
    }
}

/// The tab at a replica.
pub(super) fn tab(at: usize) -> PresenceId {
    PresenceId(at as u64)
}

/// A command in words.
fn told(command: &Command) -> String {
    let Command::Transact(writes) = command else {
        return "clear".to_owned();
    };
    let words = writes.iter().map(|write| match write {
        Write::Put { key, value, context } => {
            let seen = context.as_ref().map_or("", |_| " having seen less");
            format!("put {key:?} ({} bytes){seen}", value.len())
        }
        Write::Delete { key, context } => {
            let seen = context.as_ref().map_or("", |_| " having seen less");
            format!("delete {key:?}{seen}")
        }
        Write::Add { key, amount } => format!("add {amount} to {key:?}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
