//! Taking in all that another replica holds which is in this process, as a file brings one: by a session, like that with a peer, and
//! without a network.

use std::{collections::VecDeque, future::poll_fn, iter, time::Duration};

use gossipstore_core::{
    cache::Limits,
    disk::{BackupError, DiskError, Reading, Sizes, import},
    id::{Peer, StoreId},
    replica::{Config, Input, Opening, Output, Replica, Scan},
    time::Timestamp,
};

use crate::{
    breath::Breath,
    clock::Clock,
    engine::Engine,
    error::{ImportError, StoreError},
    timer::Timer,
};

/// How long to wait when neither has anything to say: for a merge that is under way, or for the disk.
const PAUSE: Duration = Duration::from_millis(10);

/// When two that only wait have come to nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// The other replica.
struct Guest {
    replica: Replica,
    /// The number under which each knows the other.
    peer: Peer,
    /// What it has to say.
    frames: VecDeque<Vec<u8>>,
}

/// The replica in a file, to be merged with one of `store`. It never writes.
pub(crate) fn read(file: &[u8], store: StoreId) -> Result<Replica, ImportError> {
    let (id, records) = import(file).map_err(ImportError::File)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| ImportError::System {
        reason: error.to_string(),
    })?;
    // All of it is in memory, and nowhere else.
    let config = Config {
        values: Limits::NONE,
        ..Config::new(store, seed)
    };
    let now = Clock::new().now();
    let opening = Opening::new(config, now, Reading::new(id, Sizes::default()));
    let opened = opening.of(records).map_err(ImportError::Replica)?;
    let opened = opened.ok_or(ImportError::Replica(DiskError::StateMissing.into()))?;
    let all = Scan::default();
    let mut entries = opened.replica.store().entries(&all);
    if entries.any(|entry| entry.body.here().is_none()) {
        return Err(ImportError::File(BackupError::Damaged));
    }
    drop(entries);
    Ok(opened.replica)
}

/// Has the engine take in all that another replica holds. Done when that is durable.
pub(crate) async fn merge(engine: &Engine, replica: Replica) -> Result<(), StoreError> {
    let peer = engine.guest_up()?;
    let frames = VecDeque::new();
    let merged = Guest { replica, peer, frames }.tell_all(engine).await;
    engine.guest_down(peer);
    merged?;
    let mut timer = Timer::default();
    while !engine.read(Replica::is_durable) {
        engine.check_storage()?;
        wait(&mut timer, engine.now()).await;
    }
    Ok(())
}

impl Guest {
    async fn tell_all(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let (mut breath, mut timer) = (Breath::default(), Timer::default());
        let mut moved_at = engine.now();
        self.feed(Input::PeerUp { peer: self.peer }, moved_at);
        while !engine.read(|store| store.vector().dominates(self.replica.vector())) {
            let now = engine.now();
            let mut moved = false;
            while let Some(frame) = self.frames.pop_front() {
                moved = true;
                let peer = self.peer;
                engine.feed(Input::Received { peer, frame });
            }
            engine.feed(Input::Drained { peer: self.peer });
            if engine.guest_failed(self.peer) {
                return Err(StoreError::MergeFailed);
            }
            for frame in engine.guest_frames(self.peer)? {
                moved = true;
                self.feed(Input::Received { peer: self.peer, frame }, now);
            }
            self.feed(Input::Drained { peer: self.peer }, now);
            if self.replica.poll_timeout().is_some_and(|at| at <= now) {
                self.feed(Input::Tick, now);
            }
            if moved {
                moved_at = now;
                breath.take().await;
            } else if now > moved_at + PATIENCE {
                return Err(StoreError::MergeFailed);
            } else {
                wait(&mut timer, now).await;
            }
        }
        Ok(())
    }

    fn feed(&mut self, input: Input, now: Timestamp) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.replica.handle(input, now);
            for output in iter::from_fn(|| self.replica.poll_output()) {
                match output {
                    Output::Send { frame, .. } => self.frames.push_back(frame),
                    // It is thrown away in the end.
                    Output::Persist { id, .. } => inputs.push_back(Input::Persisted { id }),
                    // All values are in memory.
                    Output::Load { .. } | Output::Broadcast { .. } | Output::Emit(_) | Output::Reply { .. } => {}
                }
            }
        }
    }
}

async fn wait(timer: &mut Timer, now: Timestamp) {
    timer.set(Some(now + PAUSE), now);
    poll_fn(|cx| timer.poll(cx)).await;
}
