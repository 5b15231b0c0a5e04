//! How two browsers meet over a signalling stream.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use futures::{
    AsyncRead, AsyncWrite,
    future::{Either, Future, select},
};
use futures_timer::Delay;
use wasm_bindgen_futures::spawn_local;
use web_sys::RtcSdpType;

use crate::{
    config::Config,
    connection::Connection,
    error::Error,
    peer::{Change, Peer, Role},
    signaling::{CANDIDATES_MAX, Kind, Message, Signals},
};

/// How long the dialler keeps the signalling stream after it is connected, for the listener to be so too: one that reads
/// an end before that gives up.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(5);

/// Offers a connection.
pub(crate) async fn dial<S>(stream: S, config: &Config) -> Result<Connection, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut signals = Signals::new(stream);
    let mut peer = Peer::new(config, Role::Dialler)?;
    let offer = peer.offer().await?;
    signals
        .send(Kind::SdpOffer, offer.get_sdp().unwrap_or_default())
        .await?;
    peer.set_local(&offer).await?;
    let answer = expect(&mut signals, Kind::SdpAnswer, "an answer is due").await?;
    peer.set_remote(RtcSdpType::Answer, &answer).await?;
    exchange_candidates(&peer, &mut signals, Role::Dialler).await?;
    spawn_local(async move {
        let patience = Delay::new(FAREWELL_PATIENCE);
        let farewell = async {
            while let Ok(Some(_)) = signals.receive().await {}
            signals.close().await
        };
        select(pin!(farewell), patience).await;
    });
    Ok(Connection::new(peer))
}

/// Answers an offer.
pub(crate) async fn accept<S>(stream: S, config: &Config) -> Result<Connection, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut signals = Signals::new(stream);
    let mut peer = Peer::new(config, Role::Listener)?;
    let offer = expect(&mut signals, Kind::SdpOffer, "an offer is due").await?;
    peer.set_remote(RtcSdpType::Offer, &offer).await?;
    let answer = peer.answer().await?;
    signals
        .send(Kind::SdpAnswer, answer.get_sdp().unwrap_or_default())
        .await?;
    peer.set_local(&answer).await?;
    exchange_candidates(&peer, &mut signals, Role::Listener).await?;
    spawn_local(async move {
        select(pin!(signals.close()), Delay::new(FAREWELL_PATIENCE)).await;
    });
    Ok(Connection::new(peer))
}

/// Ends what takes too long.
pub(crate) async fn within<T>(
    patience: Duration,
    handshake: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match select(pin!(handshake), Delay::new(patience)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Error::TimedOut { after: patience }),
    }
}

async fn expect<S>(signals: &mut Signals<S>, kind: Kind, otherwise: &'static str) -> Result<String, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let message = signals.receive().await?.ok_or(Error::Protocol(otherwise))?;
    message.expect(kind, otherwise)
}

/// Tells the other side the candidates that are found, and the browser those that are told, until they are connected.
async fn exchange_candidates<S>(peer: &Peer, signals: &mut Signals<S>, role: Role) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut received = 0;
    let mut ended = false;
    loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(change) = peer.poll_change(cx, role) {
                return Poll::Ready(change.map(Step::Change).map_err(Error::from));
            }
            if ended {
                return Poll::Pending;
            }
            signals.poll_receive(cx).map_ok(Step::Message)
        });
        match step.await? {
            Step::Change(Change::Connected) => return Ok(()),
            Step::Change(Change::Candidate(json)) if !ended => signals.send(Kind::IceCandidate, json).await?,
            Step::Change(Change::Candidate(_)) => {}
            Step::Message(Some(message)) => {
                received += 1;
                if received > CANDIDATES_MAX {
                    return Err(Error::Protocol("more candidates came than are taken"));
                }
                peer.add_candidate(&message.expect(Kind::IceCandidate, "a candidate is due")?)
                    .await?;
            }
            // All candidates have been told; one of them may do.
            Step::Message(None) => ended = true,
        }
    }
}

enum Step {
    Change(Change),
    /// None when the other side has said all it has to say.
    Message(Option<Message>),
}
