//! One data channel: what the browser tells of it moves the stream's state, and what the state wants said is sent.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{Event, MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};
use web_time::Instant;

use crate::{
    framing::{Flag, PAYLOAD_BYTES_MAX, encode_flag, encode_payload},
    peer::words,
    state::State,
};

/// How many bytes a channel may hold that the browser has not sent yet. At 50 MB a second they last 10 ms, longer than it
/// takes a page until it heeds the browser's word of there being room. 1 MiB was no faster, and filling it kept the page
/// busy for longer.
const UNSENT_BYTES_MAX: u32 = 512 * 1024;

/// At how many the browser says that there is room again: half, so that it never runs dry.
const UNSENT_BYTES_LOW: u32 = UNSENT_BYTES_MAX / 2;

/// How many bytes may wait to be read in all streams of a connection together.
const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a channel outlives its stream at most, for the other side's end to come and for the browsers to agree that it
/// is closed. Between browsers of two makes that took 9 seconds at times.
const LINGER_MAX: Duration = Duration::from_secs(10);

/// What the channels of a connection share.
#[derive(Default)]
pub(crate) struct Common {
    /// What waits to be read, as it counts.
    unread: Cell<usize>,
    /// Where frames are put together.
    frame: RefCell<Vec<u8>>,
    /// Whether a channel has ended, closed, or lost its stream, since the connection last looked.
    pub(crate) ended: Cell<bool>,
    /// The task of the connection.
    pub(crate) driver: AtomicWaker,
}

impl Common {
    fn end(&self) {
        self.ended.set(true);
        self.driver.wake();
    }
}

/// A data channel.
pub(crate) struct Channel {
    channel: RtcDataChannel,
    common: Rc<Common>,
    state: RefCell<State>,
    phase: Cell<Phase>,
    /// When it is forgotten, whatever the other side says. Set once its stream is gone, or it is being closed.
    forgotten: Cell<Option<Instant>>,
    reader: AtomicWaker,
    writer: AtomicWaker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_change: Closure<dyn FnMut(Event)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    /// By us; what was sent still leaves.
    Closing,
    Closed,
}

impl Channel {
    pub(crate) fn new(channel: RtcDataChannel, common: Rc<Common>) -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Self>| {
            channel.set_binary_type(RtcDataChannelType::Arraybuffer);
            channel.set_buffered_amount_low_threshold(UNSENT_BYTES_LOW);
            let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
                let this = this.clone();
                move |event: MessageEvent| {
                    if let Some(this) = this.upgrade() {
                        this.on_message(&event);
                    }
                }
            });
            let on_change = Closure::<dyn FnMut(Event)>::new({
                let this = this.clone();
                move |_| {
                    if let Some(this) = this.upgrade() {
                        this.on_change();
                    }
                }
            });
            let change = Some(on_change.as_ref().unchecked_ref());
            channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
            channel.set_onopen(change);
            channel.set_onbufferedamountlow(change);
            channel.set_onclose(change);
            Self {
                phase: Cell::new(phase(&channel)),
                channel,
                common,
                state: RefCell::default(),
                forgotten: Cell::default(),
                reader: AtomicWaker::new(),
                writer: AtomicWaker::new(),
                _on_message: on_message,
                _on_change: on_change,
            }
        })
    }

    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.update(|state| state.read(buffer));
        if read.is_none() {
            self.reader.register(cx.waker());
        }
        read.map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.state.borrow().writable()?;
        ready!(self.poll_open(cx));
        if self.channel.buffered_amount() >= UNSENT_BYTES_MAX {
            self.writer.register(cx.waker());
            return Poll::Pending;
        }
        let payload = &bytes[..bytes.len().min(PAYLOAD_BYTES_MAX)];
        if !payload.is_empty() {
            let mut frame = self.common.frame.borrow_mut();
            encode_payload(payload, &mut frame);
            self.channel
                .send_with_u8_array(&frame)
                .map_err(|error| io::Error::new(io::ErrorKind::ConnectionReset, words(&error)))?;
        }
        Poll::Ready(Ok(payload.len()))
    }

    /// Sends the end, and waits until the other side has it.
    pub(crate) fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(cx));
        let flag = self.update(State::finish);
        self.say(flag);
        let finished = self.state.borrow().finished();
        if finished.is_none() {
            self.writer.register(cx.waker());
        }
        finished.map_or(Poll::Pending, Poll::Ready)
    }

    /// The stream is gone. The channel is kept until the other side is content, or long enough.
    pub(crate) fn abandon(&self) {
        let flag = self.update(State::abandon);
        self.say(flag);
        self.forget(Instant::now());
        self.common.end();
    }

    /// Its number among the channels of the connection. None while it opens.
    pub(crate) fn number(&self) -> Option<u16> {
        self.channel.id()
    }

    /// Whether both sides have said all that they will, and it is open nevertheless.
    pub(crate) fn is_ended(&self) -> bool {
        self.phase.get() == Phase::Open && self.state.borrow().is_done()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    pub(crate) fn close(&self, now: Instant) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Closing);
            self.channel.close();
            self.forget(now);
        }
    }

    fn forget(&self, now: Instant) {
        self.forgotten.set(Some(now + LINGER_MAX));
    }

    /// The connection is no more. Browsers do not always say so to its channels.
    pub(crate) fn lose(&self) {
        self.phase.set(Phase::Closed);
        self.update(State::lose);
        self.wake();
    }

    /// When it may be let go of: at once if it is closed, never while it has a stream, or waits to be closed by who opened
    /// it.
    pub(crate) fn kept_until(&self, now: Instant) -> Option<Instant> {
        match self.phase.get() {
            Phase::Closed => Some(now),
            _ if self.is_ended() => None,
            _ => self.forgotten.get(),
        }
    }

    fn on_message(&self, event: &MessageEvent) {
        let message = match event.data().dyn_into::<ArrayBuffer>() {
            Ok(buffer) => Bytes::from(Uint8Array::new(&buffer).to_vec()),
            // Text, where bytes belong: as a length it has no end.
            Err(_) => Bytes::from_static(&[0xff; 10]),
        };
        let room = UNREAD_BYTES_MAX.saturating_sub(self.common.unread.get());
        let answer = self.update(|state| state.receive(message, room));
        self.say(answer);
        self.wake();
    }

    fn on_change(&self) {
        match phase(&self.channel) {
            Phase::Closed => {
                self.lose();
                self.common.end();
            }
            Phase::Open if self.phase.get() == Phase::Opening => {
                self.phase.set(Phase::Open);
                // An owner that went meanwhile had something to say.
                if self.state.borrow().is_done() {
                    self.say(Some(Flag::Reset));
                }
                self.wake();
            }
            _ => self.wake(),
        }
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase.get() == Phase::Opening {
            self.writer.register(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Sends a flag. If that was the last word, who opened the channel closes it, but for one that goes on being spoken to.
    fn say(&self, flag: Option<Flag>) {
        if self.phase.get() != Phase::Open {
            return;
        }
        if let Some(flag) = flag {
            // An error would say that the channel is closed, which is told soon.
            let _ = self.channel.send_with_u8_array(&encode_flag(flag));
        }
        let state = self.state.borrow();
        if state.is_misused() {
            self.close(Instant::now());
        } else if state.is_done() {
            self.common.end();
        }
    }

    /// Moves the state, and keeps count of what waits to be read.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let before = state.unread_cost();
        let result = change(&mut state);
        let unread = self.common.unread.get() + state.unread_cost() - before;
        self.common.unread.set(unread);
        result
    }

    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.set_onopen(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.set_onclose(None);
        self.channel.close();
        let unread = self.common.unread.get() - self.state.borrow().unread_cost();
        self.common.unread.set(unread);
    }
}

fn phase(channel: &RtcDataChannel) -> Phase {
    match channel.ready_state() {
        RtcDataChannelState::Connecting => Phase::Opening,
        RtcDataChannelState::Open => Phase::Open,
        RtcDataChannelState::Closed => Phase::Closed,
        _ => Phase::Closing,
    }
}
