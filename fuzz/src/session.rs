//! A replica among hostile peers.
//!
//! The replica under test has some data and links that come and go. Behind every link stands an honest replica with data of
//! its own, and between them somebody who reads the script: who delivers what was sent, or loses, repeats, alters, cuts it, puts other
//! bytes in the place of some, makes up frames, and does the same with what is gossiped. So a script need not know how frames look to make
//! ones that are right until a certain byte. Meanwhile both write, time passes, storage is slow or fails, and the replica crashes.
//!
//! After every step the replica must be consistent ([`Host::check`]); in the end it must still work, also with a peer that was
//! not there before ([`Host::check_works`]). What it holds may be lies: who may write at all may write anything. But when all bytes that came
//! had once been sent, it must come to hold the same as the other.

use std::{collections::VecDeque, time::Duration};

use gossipstore_core::{
    causality::Context,
    id::Peer,
    replica::{Command, Input, Write},
    wire::FRAME_BYTES_MAX,
};

use crate::{
    host::{Host, config, exchange, key, meet},
    tape::Tape,
};

/// How many links there are.
const LINKS: usize = 3;

/// The most steps of a script: enough for several sessions, few enough for thousands of scripts a second.
const STEPS_MAX: usize = 200;

/// How many frames and messages are kept to be repeated.
const KEPT_MAX: usize = 32;

/// The first byte of each step, as seeds are written with it. What follows it is beside each arm of `World::step`.
#[allow(missing_docs, reason = "each is said beside its arm")]
pub mod step {
    pub const UP: u8 = 0;
    pub const DOWN: u8 = 1;
    pub const ASK: u8 = 2;
    pub const EXCHANGE: u8 = 3;
    pub const DELIVER: u8 = 4;
    pub const LOSE: u8 = 5;
    pub const ALTER: u8 = 6;
    pub const CUT: u8 = 7;
    pub const SPLICE: u8 = 8;
    pub const FRAME: u8 = 9;
    pub const REPEAT: u8 = 10;
    pub const GOSSIP: u8 = 11;
    pub const GOSSIP_ALTER: u8 = 12;
    pub const GOSSIP_SPLICE: u8 = 13;
    pub const MESSAGE: u8 = 14;
    pub const GOSSIP_REPEAT: u8 = 15;
    pub const DRAINED: u8 = 16;
    pub const PASS: u8 = 17;
    pub const WRITE: u8 = 18;
    pub const WRITE_THERE: u8 = 19;
    pub const TURNS: u8 = 20;
    pub const STORE: u8 = 21;
    pub const REFUSE: u8 = 22;
    pub const CRASH: u8 = 23;
    pub const COUNT: usize = 24;
}

/// The steps that bring bytes that were never sent.
const LIES: [u8; 7] = [
    step::ALTER,
    step::CUT,
    step::SPLICE,
    step::FRAME,
    step::GOSSIP_ALTER,
    step::GOSSIP_SPLICE,
    step::MESSAGE,
];

/// Plays the script.
pub fn run(script: &[u8]) {
    let mut tape = Tape::new(script);
    let mut world = World::new(&mut tape);
    for _ in 0..STEPS_MAX {
        if tape.is_empty() {
            break;
        }
        world.step(&mut tape);
        world.here.check();
    }
    world.end();
}

struct World {
    /// The replica under test.
    here: Host,
    /// The honest one.
    there: Host,
    up: [bool; LINKS],
    /// Whether the replica under test is given turns until it has no work left.
    whole: bool,
    crashes: u8,
    /// Frames that were once on the way, and messages.
    frames: VecDeque<Vec<u8>>,
    messages: VecDeque<Vec<u8>>,
    /// Whether bytes came that were never sent.
    lied_to: bool,
    /// What a caller saw some time ago.
    context: Option<Context>,
}

impl World {
    fn new(tape: &mut Tape<'_>) -> Self {
        let (here, there) = (Host::new(config(1, tape)), Host::new(config(2, tape)));
        let mut world = Self {
            here,
            there,
            up: [false; LINKS],
            whole: true,
            crashes: 0,
            frames: VecDeque::new(),
            messages: VecDeque::new(),
            lied_to: false,
            context: None,
        };
        for (number, value) in [(0, "1"), (1, "2"), (1, "3"), (2, "4"), (4, "5")] {
            world.here.put(key(number), value.as_bytes(), None);
            world.there.put(key(number + 1), value.as_bytes(), None);
        }
        world.here.delete(key(2), None);
        world.there.delete(key(1), None);
        world
    }

    fn step(&mut self, tape: &mut Tape<'_>) {
        let step = tape.below(step::COUNT) as u8;
        self.lied_to |= LIES.contains(&step);
        match step {
            // The link's number follows, here and in the steps that name one.
            step::UP => {
                let link = self.link(tape);
                self.set_link(link, true);
            }
            step::DOWN => {
                let link = self.link(tape);
                self.set_link(link, false);
            }
            // The next frame from here arrives there.
            step::ASK => {
                let peer = self.link(tape);
                if let Some(frame) = self.here.sent.get_mut(&peer).and_then(VecDeque::pop_front) {
                    self.there.feed(Input::Received { peer, frame });
                }
            }
            // All that both have to say is delivered.
            step::EXCHANGE => {
                let link = self.link(tape);
                exchange(&mut self.here, &mut self.there, link);
            }
            // The next frame from there arrives here: as it is,
            step::DELIVER => self.deliver(tape, |_, _| {}),
            // or not at all,
            step::LOSE => {
                let link = self.link(tape);
                self.take_sent(link);
            }
            // or with some bits of one byte flipped: place (2), bits
            step::ALTER => self.deliver(tape, |frame, tape| alter(frame, tape)),
            // or cut off: length (2)
            step::CUT => self.deliver(tape, |frame, tape| {
                let length = usize::from(tape.short());
                frame.truncate(length % (frame.len() + 1));
            }),
            // or with other bytes in the place of some: place (2), how many, how many others, those.
            step::SPLICE => self.deliver(tape, splice),
            // A frame that nobody sent: bytes.
            step::FRAME => {
                let link = self.link(tape);
                self.receive(link, tape.bytes().to_vec());
            }
            // A frame again: which.
            step::REPEAT => {
                let link = self.link(tape);
                if let Some(frame) = kept(&self.frames, tape) {
                    self.receive(link, frame);
                }
            }
            // The same with messages: how many newer ones are left, then as above. When there are no others, those of the replica itself
            // come back.
            step::GOSSIP => self.gossip(tape, |_, _| {}),
            step::GOSSIP_ALTER => self.gossip(tape, |message, tape| alter(message, tape)),
            step::GOSSIP_SPLICE => self.gossip(tape, splice),
            step::MESSAGE => {
                let link = self.link(tape);
                self.hear(link, tape.bytes().to_vec());
            }
            step::GOSSIP_REPEAT => {
                let link = self.link(tape);
                if let Some(message) = kept(&self.messages, tape) {
                    self.hear(link, message);
                }
            }
            step::DRAINED => {
                let peer = self.link(tape);
                self.give(Input::Drained { peer });
                self.there.feed(Input::Drained { peer });
            }
            // Time passes, in units of 20 ms (2).
            step::PASS => {
                let time = Duration::from_millis(u64::from(tape.short()) * 20);
                self.here.pass(time);
                self.there.pass(time);
            }
            step::WRITE => {
                write(&mut self.here, &mut self.context, tape);
                self.work();
            }
            step::WRITE_THERE => write(&mut self.there, &mut None, tape),
            // Whether the replica is given all the turns that it asks for.
            step::TURNS => {
                self.whole = tape.below(2) == 0;
                self.work();
            }
            // Whether storage waits; what has waited is stored.
            step::STORE => {
                self.here.slow = tape.below(2) == 1;
                self.here.store();
            }
            step::REFUSE => self.here.refuse(),
            _ => self.crash(),
        }
    }

    fn end(mut self) {
        for link in 0..LINKS {
            self.set_link(Peer(link as u64), false);
        }
        self.here.slow = false;
        if !self.lied_to {
            meet(&mut self.here, &mut self.there);
        }
        self.here.check_works();
        self.there.check_at_rest();
    }

    fn link(&self, tape: &mut Tape<'_>) -> Peer {
        Peer(tape.below(LINKS) as u64)
    }

    fn set_link(&mut self, peer: Peer, up: bool) {
        let is_up = &mut self.up[peer.0 as usize];
        if *is_up == up {
            return;
        }
        *is_up = up;
        self.here.sent.remove(&peer);
        self.there.sent.remove(&peer);
        let input = if up {
            Input::PeerUp { peer }
        } else {
            Input::PeerDown { peer }
        };
        self.there.feed(input.clone());
        self.give(input);
    }

    fn crash(&mut self) {
        for link in 0..LINKS {
            self.set_link(Peer(link as u64), false);
        }
        self.crashes += 1;
        self.here.crash(100 + self.crashes % 100);
    }

    fn take_sent(&mut self, peer: Peer) -> Option<Vec<u8>> {
        let frame = self.there.sent.get_mut(&peer)?.pop_front()?;
        keep(&mut self.frames, &frame);
        Some(frame)
    }

    fn deliver(&mut self, tape: &mut Tape<'_>, change: impl Fn(&mut Vec<u8>, &mut Tape<'_>)) {
        let peer = self.link(tape);
        let Some(mut frame) = self.take_sent(peer) else { return };
        change(&mut frame, tape);
        self.receive(peer, frame);
    }

    fn receive(&mut self, peer: Peer, frame: Vec<u8>) {
        self.give(Input::Received { peer, frame });
    }

    fn gossip(&mut self, tape: &mut Tape<'_>, change: impl Fn(&mut Vec<u8>, &mut Tape<'_>)) {
        let link = self.link(tape);
        let from = if self.there.gossip.is_empty() {
            &mut self.here
        } else {
            &mut self.there
        };
        let from_newest = usize::from(tape.byte()) % from.gossip.len().max(1);
        let at = from.gossip.len().wrapping_sub(1 + from_newest);
        let Some(mut message) = from.gossip.remove(at) else {
            return;
        };
        keep(&mut self.messages, &message);
        change(&mut message, tape);
        self.hear(link, message);
    }

    fn hear(&mut self, peer: Peer, message: Vec<u8>) {
        self.give(Input::Gossiped {
            peer: Some(peer),
            message,
        });
    }

    fn give(&mut self, input: Input) {
        self.here.turn(input);
        self.work();
    }

    fn work(&mut self) {
        if self.whole {
            self.here.work();
        }
    }
}

/// A write: what, key, [value]. A context that was taken before may be handed in.
fn write(host: &mut Host, context: &mut Option<Context>, tape: &mut Tape<'_>) {
    let (what, key) = (tape.below(8), key(tape.byte()));
    match what {
        0 => host.put(key, tape.bytes(), None),
        1 => host.put(key, tape.bytes(), context.clone()),
        2 => host.delete(key, None),
        3 => host.delete(key, context.clone()),
        4 => *context = Some(host.replica.siblings(&key).context),
        5 => host.command(Command::Clear),
        // More than travels inside an event.
        6 => host.put(key, &[tape.byte(); 33 * 1024], None),
        _ => {
            let writes = (0..=tape.below(8)).map(|_| {
                let key = self::key(tape.byte());
                if tape.below(4) == 0 {
                    Write::Delete { key, context: None }
                } else {
                    let value = tape.bytes().into();
                    Write::Put {
                        key,
                        value,
                        context: None,
                    }
                }
            });
            let writes = writes.collect();
            host.command(Command::Transact(writes));
        }
    }
}

fn alter(bytes: &mut [u8], tape: &mut Tape<'_>) {
    let (place, bits) = (usize::from(tape.short()), tape.byte());
    let length = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(place % length) {
        *byte ^= bits;
    }
}

fn splice(bytes: &mut Vec<u8>, tape: &mut Tape<'_>) {
    let (place, taken, put) = (usize::from(tape.short()), tape.below(64), tape.below(64));
    let place = place % (bytes.len() + 1);
    let end = bytes.len().min(place + taken);
    bytes.splice(place..end, (0..put).map(|_| tape.byte()));
    bytes.truncate(FRAME_BYTES_MAX + 1);
}

fn keep(kept: &mut VecDeque<Vec<u8>>, bytes: &[u8]) {
    if kept.len() == KEPT_MAX {
        kept.pop_front();
    }
    kept.push_back(bytes.to_vec());
}

fn kept(kept: &VecDeque<Vec<u8>>, tape: &mut Tape<'_>) -> Option<Vec<u8>> {
    let at = tape.below(KEPT_MAX);
    kept.get(at % kept.len().max(1)).cloned()
}
