//! The browser's WebSocket as a libp2p transport.
//!
//! libp2p's own (`libp2p-websocket-websys` 0.6) wakes nobody who reads when the socket closes, so that a relay that refuses
//! us looks like one that is slow until the dial's patience ends; it looks for room to write by a timer that ticks ten times
//! a second for each socket, for ever; and it breaks the connection when 1 MiB has come that a busy page has not read yet.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{
    AsyncRead, AsyncWrite, FutureExt as _,
    future::{BoxFuture, Pending, poll_fn},
};
use futures_timer::Delay;
use libp2p::{
    Multiaddr,
    core::transport::{DialOpts, ListenerId, TransportError, TransportEvent},
};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use crate::address::websocket_url;

/// How many bytes the browser may hold that have not left yet. More only adds to the delay of what is written next.
const UNSENT_BYTES_MAX: u32 = 1024 * 1024;

/// How often to look whether there is room again; browsers tell nobody. Only asked while there is none.
const ROOM_EVERY: Duration = Duration::from_millis(10);

/// How many bytes may wait to be read. A page may be busy while a session pours in, and a WebSocket cannot be told to wait;
/// but the streams above it are, so no honest relay comes near.
const UNREAD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The close code for text where bytes belong (RFC 6455, section 7.4.1).
const UNSUPPORTED_DATA: u16 = 1003;

/// Dials WebSockets. Browsers cannot listen for them.
pub(crate) struct Transport;

impl libp2p::Transport for Transport {
    type Output = Connection;
    type Error = io::Error;
    type ListenerUpgrade = Pending<Result<Self::Output, Self::Error>>;
    type Dial = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let url = websocket_url(&address).filter(|_| !options.role.is_listener());
        let url = url.ok_or(TransportError::MultiaddrNotSupported(address))?;
        // The browser's objects never leave this thread; wasm has no other.
        let dial = SendWrapper::new(async move {
            let socket = Socket::open(&url)?;
            poll_fn(|cx| socket.poll_open(cx)).await?;
            Ok(Connection {
                socket: SendWrapper::new(socket),
            })
        });
        Ok(dial.boxed())
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

/// An open WebSocket as a stream of bytes.
pub(crate) struct Connection {
    socket: SendWrapper<Socket>,
}

/// A WebSocket, and what it has told so far.
struct Socket {
    socket: WebSocket,
    state: Rc<RefCell<State>>,
    /// Runs while there is no room to write.
    room: Option<Delay>,
    _on_open: Closure<dyn FnMut()>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

#[derive(Default)]
struct State {
    opened: bool,
    /// Why it is closed, once it is.
    closed: Option<Closed>,
    unread: VecDeque<u8>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Closed {
    /// Both sides agreed.
    Cleanly,
    /// With this code. Browsers hide the cause from pages: 1006 stands for all of them.
    Code(u16),
    /// By us, because more came than can be kept.
    Overrun,
}

impl State {
    fn wake(&mut self) {
        self.reader
            .take()
            .into_iter()
            .chain(self.writer.take())
            .for_each(Waker::wake);
    }

    fn close(&mut self, why: Closed) {
        self.closed.get_or_insert(why);
        self.wake();
    }
}

impl Closed {
    fn error(self) -> io::Error {
        match self {
            Self::Cleanly => io::Error::new(io::ErrorKind::BrokenPipe, "the WebSocket was closed"),
            Self::Code(code) => io::Error::new(
                io::ErrorKind::ConnectionReset,
                format!("the WebSocket failed with code {code}"),
            ),
            Self::Overrun => io::Error::new(io::ErrorKind::ConnectionAborted, "more came than can be kept"),
        }
    }
}

impl Socket {
    fn open(url: &str) -> io::Result<Self> {
        let socket = WebSocket::new(url).map_err(|error| io::Error::other(words(&error)))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let state = Rc::new(RefCell::new(State::default()));
        let on_open = Closure::<dyn FnMut()>::new({
            let state = state.clone();
            move || {
                let mut state = state.borrow_mut();
                state.opened = true;
                state.wake();
            }
        });
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let state = state.clone();
            move |message: MessageEvent| {
                let Ok(buffer) = message.data().dyn_into::<js_sys::ArrayBuffer>() else {
                    state.borrow_mut().close(Closed::Code(UNSUPPORTED_DATA));
                    return;
                };
                let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
                let mut state = state.borrow_mut();
                if state.unread.len() + bytes.len() > UNREAD_BYTES_MAX {
                    state.close(Closed::Overrun);
                } else if state.closed.is_none() {
                    state.unread.extend(bytes);
                    state.reader.take().into_iter().for_each(Waker::wake);
                }
            }
        });
        // An error event says nothing that the close event after it does not say.
        let on_close = Closure::<dyn FnMut(CloseEvent)>::new({
            let state = state.clone();
            move |close: CloseEvent| {
                let why = if close.was_clean() {
                    Closed::Cleanly
                } else {
                    Closed::Code(close.code())
                };
                state.borrow_mut().close(why);
            }
        });
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self {
            socket,
            state,
            room: None,
            _on_open: on_open,
            _on_message: on_message,
            _on_close: on_close,
        })
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        match state.closed {
            Some(Closed::Code(code)) => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("no WebSocket could be opened (code {code}); the browser's console may say why"),
            ))),
            Some(why) => Poll::Ready(Err(why.error())),
            None if state.opened => Poll::Ready(Ok(())),
            None => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<u32>> {
        loop {
            if let Some(why) = self.state.borrow().closed {
                return Poll::Ready(Err(why.error()));
            }
            let room = UNSENT_BYTES_MAX.saturating_sub(self.socket.buffered_amount());
            if room > 0 {
                self.room = None;
                return Poll::Ready(Ok(room));
            }
            self.state.borrow_mut().writer = Some(cx.waker().clone());
            let timer = self.room.get_or_insert_with(|| Delay::new(ROOM_EVERY));
            std::task::ready!(timer.poll_unpin(cx));
            self.room = None;
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        // What was written still leaves. An error would say that it is closed already.
        let _ = self.socket.close();
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.socket.state.borrow_mut();
        if !state.unread.is_empty() {
            return Poll::Ready(io::Read::read(&mut state.unread, buffer));
        }
        match state.closed {
            Some(Closed::Cleanly) => Poll::Ready(Ok(0)),
            Some(why) => Poll::Ready(Err(why.error())),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = std::task::ready!(self.socket.poll_room(cx))?;
        let some = &bytes[..bytes.len().min(room as usize)];
        self.socket
            .socket
            .send_with_u8_array(some)
            .map_err(|error| io::Error::other(words(&error)))?;
        Poll::Ready(Ok(some.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The browser sends what it was given as fast as it can.
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written still leaves. An error would say that it is closed already.
        let _ = self.socket.socket.close();
        Poll::Ready(Ok(()))
    }
}

/// What a thrown value says.
fn words(thrown: &JsValue) -> String {
    thrown
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| format!("{thrown:?}"), |error| String::from(error.message()))
}
