//! What schedules did: a simulation in which something never happens proves nothing about it.

use core::fmt;

/// Defines the counts once: as fields, and as a list to be added up, printed and asserted on.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often each thing happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Tally {
            /// Adds what another run did.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// The counts by name.
            pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counts! {
    /// Events made.
    events,
    /// Transactions of several events.
    transactions,
    /// Deletes that made an event.
    deletes,
    /// Additions to a counter that were asked for.
    additions,
    /// Those that were refused: the key held a plain value, or the same transaction wrote it.
    additions_refused,
    /// Those under a key that several authors had counted under.
    additions_shared,
    /// Commands that are asked for again when the replica dies before it has answered.
    calls,
    /// Those that were.
    calls_repeated,
    /// Those of them that had been carried out.
    calls_known,
    /// Writes with a context that was read some time before.
    stale_contexts,
    /// Values that do not travel inside their event.
    large_values,
    /// Reads of a key that had siblings.
    siblings,
    /// Merge events that dropped values of a crowded key.
    siblings_dropped,
    /// What tabs have said of themselves.
    presences,
    /// Sessions opened.
    sessions,
    /// Sessions that became visible.
    sessions_ended,
    /// Sessions under way when their link was cut.
    sessions_cut,
    /// Sessions given up because nothing came.
    sessions_silent,
    /// LEAVES frames: sessions that could not describe every event.
    leaves,
    /// Descents through the live dots, where leaves would be long.
    descents,
    /// Vectors that a HELLO had left open.
    vectors_asked,
    /// Sessions that go on from what one that was cut had staged, by their HAVE frames.
    resumptions,
    /// BODY frames.
    bodies,
    /// Values that were not in memory and read for a session.
    values_loaded,
    /// Values of live entries that a disk did not give.
    values_lost,
    /// Gossiped messages lost.
    gossip_lost,
    /// Gossiped messages delivered twice.
    gossip_duplicated,
    /// Frames of an earlier link that were delivered on a later one.
    late_frames,
    /// Gossiped messages delivered long after their time.
    late_gossip,
    /// Links cut.
    cuts,
    /// Links of which one end was not told that they were cut.
    cuts_unnoticed,
    /// Directions closed.
    directions_closed,
    /// Networks fallen into two parts.
    partitions,
    /// Crashes that lost what was not flushed.
    crashes_with_loss,
    /// Crashes after which a transaction is on the disk of which nobody was told.
    crashes_torn,
    /// Crashes with nothing on its way to the disk.
    crashes_clean,
    /// Stores handed over to another process.
    hand_overs,
    /// Disks taken over from a process that goes on writing.
    take_overs,
    /// What that wrote, and was refused.
    writes_refused,
    /// Old images put back.
    restores,
    /// Profiles copied.
    clones,
    /// Replicas that slept while the others came to rest.
    sleepers,
    /// Clocks that jumped.
    clock_jumps,
    /// Runs with a hostile member that lies within the protocol.
    liars,
    /// Runs with a hostile member that sends anything.
    forgers,
    /// Runs beside a member that tells each replica another event under one dot.
    equivocators,
    /// Frames and messages that a hostile member made up.
    hostile_frames,
    /// Events that a hostile member made up and an honest replica shows.
    hostile_accepted,
    /// Frames and messages of a hostile member that were refused.
    hostile_refused,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, count)) in self.counts().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {}", Words(name))?;
        }
        Ok(())
    }
}

/// A name as words.
struct Words(&'static str);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = self.0.split('_');
        words.next().map_or(Ok(()), |word| f.write_str(word))?;
        words.try_for_each(|word| write!(f, " {word}"))
    }
}
