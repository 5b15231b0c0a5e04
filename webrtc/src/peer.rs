//! One `RTCPeerConnection`: what the browser tells of it, and its end.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll},
};

use futures::task::AtomicWaker;
use js_sys::{Array, Function, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Event, EventTarget, RtcConfiguration, RtcDataChannel, RtcDataChannelEvent, RtcIceCandidateInit, RtcIceServer,
    RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};
use web_time::Instant;

use crate::{
    channel::{Channel, Common},
    config::Config,
    error::{ConnectionError, Error},
    outbound::{Outbound, sweep},
    signaling::CANDIDATES_MAX,
};

/// The label of the channel that the dialler makes so that there is something to connect for. It carries nothing.
const INIT: &str = "init";

/// The label of a stream.
const STREAM: &str = "";

/// How many the other side may have open: as many as a browser can number.
const INBOUND_MAX: usize = 512;

/// How many streams of the other side may wait to be taken: as many as a swarm negotiates at once.
const INCOMING_MAX: usize = 128;

/// Whether this environment can speak WebRTC.
pub(crate) fn is_supported() -> bool {
    Reflect::get(&js_sys::global(), &"RTCPeerConnection".into()).is_ok_and(|value| value.is_instance_of::<Function>())
}

/// A peer connection. It is closed when it is dropped.
pub(crate) struct Peer {
    connection: RtcPeerConnection,
    told: Rc<Told>,
    /// The dialler's, kept open: to close it while streams open has stalled browsers and lost channels.
    _init: Option<RtcDataChannel>,
    /// Present once the transport below the channels is known.
    sctp: Option<EventTarget>,
    _on_candidate: Closure<dyn FnMut(RtcPeerConnectionIceEvent)>,
    _on_channel: Closure<dyn FnMut(RtcDataChannelEvent)>,
    on_change: Closure<dyn FnMut(Event)>,
    /// Closes the connection when the page goes. Firefox does so by itself; Chromium lets it lapse without a word, and the other
    /// side would notice by its own timers only.
    on_page_hide: Closure<dyn FnMut()>,
}

/// The event of a page that is left, for good or for the browser's cache of pages, which no page with connections enters.
const PAGE_HIDE: &str = "pagehide";

/// What the browser has told.
#[derive(Default)]
struct Told {
    connected: Cell<bool>,
    ended: Cell<Option<ConnectionError>>,
    candidates: RefCell<VecDeque<String>>,
    /// The other side's channel of that label.
    init: RefCell<Option<RtcDataChannel>>,
    incoming: RefCell<VecDeque<Rc<Channel>>>,
    /// The channels that are open, by who opened them.
    inbound: RefCell<Vec<Rc<Channel>>>,
    outbound: RefCell<Outbound>,
    common: Rc<Common>,
    handshake: AtomicWaker,
    /// Who waits for streams of the other side, and for room to open one.
    acceptor: AtomicWaker,
    opener: AtomicWaker,
}

/// What changes while two browsers meet.
pub(crate) enum Change {
    /// A candidate to tell the other side, as JSON.
    Candidate(String),
    /// The connection stands.
    Connected,
}

/// Which side of the connection this is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Dialler,
    Listener,
}

#[wasm_bindgen]
extern "C" {
    /// web-sys has it that this cannot fail.
    #[wasm_bindgen(extends = RtcPeerConnection, js_name = RTCPeerConnection)]
    type Fallible;

    #[wasm_bindgen(method, catch, js_name = createDataChannel)]
    fn create_data_channel(this: &Fallible, label: &str) -> Result<RtcDataChannel, JsValue>;
}

impl Peer {
    pub(crate) fn new(config: &Config, role: Role) -> Result<Self, Error> {
        if !is_supported() {
            return Err(Error::Unsupported);
        }
        let connection = RtcPeerConnection::new_with_configuration(&configuration(config))
            .map_err(|error| refused("new RTCPeerConnection", &error))?;
        let told = Rc::<Told>::default();
        let on_candidate = Closure::<dyn FnMut(RtcPeerConnectionIceEvent)>::new({
            let told = told.clone();
            move |event: RtcPeerConnectionIceEvent| told.on_candidate(&event)
        });
        let on_channel = Closure::<dyn FnMut(RtcDataChannelEvent)>::new({
            let told = told.clone();
            move |event: RtcDataChannelEvent| told.on_channel(event.channel())
        });
        let on_change = Closure::<dyn FnMut(Event)>::new({
            let (told, connection) = (told.clone(), connection.clone());
            move |_| told.on_change(&connection)
        });
        connection.set_onicecandidate(Some(on_candidate.as_ref().unchecked_ref()));
        connection.set_ondatachannel(Some(on_channel.as_ref().unchecked_ref()));
        connection.set_onconnectionstatechange(Some(on_change.as_ref().unchecked_ref()));
        let on_page_hide = Closure::<dyn FnMut()>::new({
            let connection = connection.clone();
            move || connection.close()
        });
        let mut peer = Self {
            connection,
            told,
            _init: None,
            sctp: None,
            _on_candidate: on_candidate,
            _on_channel: on_channel,
            on_change,
            on_page_hide,
        };
        page()
            .add_event_listener_with_callback(PAGE_HIDE, peer.on_page_hide.as_ref().unchecked_ref())
            .map_err(|error| refused("addEventListener", &error))?;
        if role == Role::Dialler {
            let init = peer.create_channel(INIT);
            peer._init = Some(init.map_err(|error| refused("createDataChannel", &error))?);
        }
        Ok(peer)
    }

    /// What to offer; not set yet.
    pub(crate) async fn offer(&self) -> Result<RtcSessionDescriptionInit, Error> {
        let offer = call("createOffer", self.connection.create_offer()).await?;
        Ok(offer.unchecked_into())
    }

    /// What to answer to the other side's description; not set yet.
    pub(crate) async fn answer(&self) -> Result<RtcSessionDescriptionInit, Error> {
        let answer = call("createAnswer", self.connection.create_answer()).await?;
        Ok(answer.unchecked_into())
    }

    /// Sets what was offered or answered. Candidates are found from now on.
    pub(crate) async fn set_local(&mut self, description: &RtcSessionDescriptionInit) -> Result<(), Error> {
        let promise = self.connection.set_local_description(description);
        call("setLocalDescription", promise).await?;
        self.watch_sctp();
        Ok(())
    }

    /// Sets what the other side offered or answered.
    pub(crate) async fn set_remote(&mut self, kind: RtcSdpType, sdp: &str) -> Result<(), Error> {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        let promise = self.connection.set_remote_description(&description);
        call("setRemoteDescription", promise).await?;
        self.watch_sctp();
        Ok(())
    }

    /// Adds a candidate of the other side. One that the browser cannot use is passed over: others may do.
    pub(crate) async fn add_candidate(&self, json: &str) -> Result<(), Error> {
        let malformed = Error::Protocol("a candidate is not the JSON of one");
        let Ok(candidate) = js_sys::JSON::parse(json) else {
            return Err(malformed);
        };
        // Both say that there are no more.
        if candidate.is_null() || candidate.as_string().is_some_and(|text| text.is_empty()) {
            return Ok(());
        }
        if !candidate.is_object() {
            return Err(malformed);
        }
        let candidate: RtcIceCandidateInit = candidate.unchecked_into();
        let promise = self
            .connection
            .add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&candidate));
        if let Err(error) = call("addIceCandidate", promise).await {
            tracing::debug!(%error, json, "a candidate of the other side is passed over");
        }
        Ok(())
    }

    /// What has changed since it was last asked.
    pub(crate) fn poll_change(&self, cx: &mut Context<'_>, role: Role) -> Poll<Result<Change, ConnectionError>> {
        let told = &self.told;
        told.handshake.register(cx.waker());
        if let Some(error) = told.ended.get() {
            return Poll::Ready(Err(error));
        }
        // A channel of the dialler's is the first that a listener hears over the new connection: only then does it know
        // that the dialler is connected too.
        if told.connected.get() && (role == Role::Dialler || told.heard()) {
            return Poll::Ready(Ok(Change::Connected));
        }
        match told.candidates.borrow_mut().pop_front() {
            Some(candidate) => Poll::Ready(Ok(Change::Candidate(candidate))),
            None => Poll::Pending,
        }
    }

    /// The next stream of the other side.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<Channel>, ConnectionError>> {
        self.check()?;
        self.told.acceptor.register(cx.waker());
        match self.told.incoming.borrow_mut().pop_front() {
            Some(channel) => Poll::Ready(Ok(channel)),
            None => Poll::Pending,
        }
    }

    /// A new stream of this side.
    pub(crate) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<Channel>, ConnectionError>> {
        self.check()?;
        self.told.opener.register(cx.waker());
        let mut outbound = self.told.outbound.borrow_mut();
        if !outbound.has_room() {
            return Poll::Pending;
        }
        let channel = match self.create_channel(STREAM) {
            Ok(channel) => channel,
            Err(error) => {
                tracing::debug!(error = words(&error), "the browser made no data channel");
                // All its numbers may be in use; then the end of a channel frees one.
                if outbound.is_empty() {
                    return Poll::Ready(Err(ConnectionError::NoChannel));
                }
                return Poll::Pending;
            }
        };
        let channel = Channel::new(channel, self.told.common.clone());
        outbound.push(channel.clone());
        Poll::Ready(Ok(channel))
    }

    /// Closes channels and lets go of them when their time has come. Returns when there is more to do.
    pub(crate) fn sweep(&self, now: Instant) -> Option<Instant> {
        let told = &self.told;
        told.common.ended.set(false);
        let inbound = sweep(&mut told.inbound.borrow_mut(), now);
        let outbound = told.outbound.borrow_mut().sweep(now);
        told.opener.wake();
        inbound.into_iter().chain(outbound).min()
    }

    /// Whether [`Self::sweep`] has something to do, but for the time that passes.
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        self.told.common.driver.register(cx.waker());
        self.check()?;
        Ok(self.told.common.ended.get())
    }

    /// Closes the connection; nothing is told of it any more.
    pub(crate) fn close(&self) {
        self.connection.set_onicecandidate(None);
        self.connection.set_ondatachannel(None);
        self.connection.set_onconnectionstatechange(None);
        if let Some(sctp) = &self.sctp {
            let listener = self.on_change.as_ref().unchecked_ref();
            // Fails only if there is no such method.
            let _ = sctp.remove_event_listener_with_callback("statechange", listener);
        }
        self.connection.close();
        self.told.end(ConnectionError::Closed);
    }

    fn check(&self) -> Result<(), ConnectionError> {
        self.told.ended.get().map_or(Ok(()), Err)
    }

    fn create_channel(&self, label: &str) -> Result<RtcDataChannel, JsValue> {
        self.connection.unchecked_ref::<Fallible>().create_data_channel(label)
    }

    /// The transport below the channels ends when the other side closes, long before the path is called lost.
    fn watch_sctp(&mut self) {
        if self.sctp.is_some() {
            return;
        }
        let sctp = sctp(&self.connection);
        if let Some(sctp) = &sctp {
            let listener = self.on_change.as_ref().unchecked_ref();
            // Fails only if there is no such method.
            let _ = sctp.add_event_listener_with_callback("statechange", listener);
        }
        self.sctp = sctp;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
        // What was never added is removed without an error.
        let _ = page().remove_event_listener_with_callback(PAGE_HIDE, self.on_page_hide.as_ref().unchecked_ref());
    }
}

/// The window, without which there are no peer connections.
fn page() -> EventTarget {
    js_sys::global().unchecked_into()
}

impl Told {
    fn on_candidate(&self, event: &RtcPeerConnectionIceEvent) {
        // None, or an empty one, says that there are no more, which needs not be told: candidates that come are tried.
        let Some(candidate) = event.candidate().filter(|candidate| !candidate.candidate().is_empty()) else {
            return;
        };
        let json = js_sys::JSON::stringify(&candidate.to_json())
            .ok()
            .and_then(|json| json.as_string());
        let mut candidates = self.candidates.borrow_mut();
        match json {
            Some(json) if candidates.len() < CANDIDATES_MAX => candidates.push_back(json),
            _ => tracing::debug!("a candidate is not told: there are more than the other side takes"),
        }
        self.handshake.wake();
    }

    fn on_channel(&self, channel: RtcDataChannel) {
        if channel.label() == INIT && self.init.borrow().is_none() {
            self.init.replace(Some(channel));
            self.handshake.wake();
            return;
        }
        let (mut inbound, mut incoming) = (self.inbound.borrow_mut(), self.incoming.borrow_mut());
        if inbound.len() >= INBOUND_MAX || incoming.len() >= INCOMING_MAX {
            tracing::debug!("the other side opened more streams than are allowed; the last is closed");
            channel.close();
            return;
        }
        let channel = Channel::new(channel, self.common.clone());
        inbound.push(channel.clone());
        incoming.push_back(channel);
        self.acceptor.wake();
        self.handshake.wake();
    }

    fn on_change(&self, connection: &RtcPeerConnection) {
        match connection.connection_state() {
            RtcPeerConnectionState::Connected => self.connected.set(true),
            RtcPeerConnectionState::Failed => self.end(ConnectionError::Failed),
            RtcPeerConnectionState::Closed => self.end(ConnectionError::Closed),
            // A path that is disconnected may recover.
            _ => {}
        }
        let sctp = sctp(connection).and_then(|sctp| Reflect::get(&sctp, &"state".into()).ok());
        if sctp.is_some_and(|state| state == "closed") {
            self.end(ConnectionError::Closed);
        }
        self.handshake.wake();
    }

    /// Whether the other side has made a channel.
    fn heard(&self) -> bool {
        self.init.borrow().is_some() || !self.inbound.borrow().is_empty()
    }

    fn end(&self, why: ConnectionError) {
        if self.ended.get().is_none() {
            self.ended.set(Some(why));
        }
        self.incoming.borrow_mut().clear();
        self.inbound.borrow().iter().for_each(|channel| channel.lose());
        self.outbound.borrow().iter().for_each(|channel| channel.lose());
        for waker in [&self.handshake, &self.acceptor, &self.opener, &self.common.driver] {
            waker.wake();
        }
    }
}

/// What a thrown value says.
pub(crate) fn words(thrown: &JsValue) -> String {
    let message = Reflect::get(thrown, &"message".into()).ok();
    message
        .and_then(|message| message.as_string())
        .unwrap_or_else(|| format!("{thrown:?}"))
}

async fn call(name: &'static str, promise: Promise) -> Result<JsValue, Error> {
    JsFuture::from(promise).await.map_err(|error| refused(name, &error))
}

fn refused(call: &'static str, error: &JsValue) -> Error {
    let reason = words(error);
    Error::Browser { call, reason }
}

/// The `RTCSctpTransport`, which web-sys does not know, as some browsers do not.
fn sctp(connection: &RtcPeerConnection) -> Option<EventTarget> {
    let sctp = Reflect::get(connection, &"sctp".into()).ok()?;
    sctp.dyn_into().ok()
}

fn configuration(config: &Config) -> RtcConfiguration {
    let servers = config.ice_servers.iter().map(|server| {
        let entry = RtcIceServer::new();
        let urls = server.urls.iter().map(JsValue::from).collect::<Array>();
        entry.set_urls(&urls);
        if let Some(username) = &server.username {
            entry.set_username(username);
        }
        if let Some(credential) = &server.credential {
            entry.set_credential(credential);
        }
        entry
    });
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&servers.collect::<Array>());
    configuration
}
