//! Why something on the network failed, in words for a person who can do something about it.

use std::{error::Error, io};

use libp2p::swarm::DialError;

/// Why a dial failed.
pub(crate) fn explain_dial(error: &DialError) -> String {
    match error {
        DialError::WrongPeerId { obtained, .. } => {
            format!("another one answers there, {obtained}; correct the identity at the end of the address")
        }
        DialError::LocalPeerId { .. } => "it is this node itself".into(),
        DialError::Transport(_) => format!("it cannot be reached: {}", explain_attempt(error)),
        DialError::DialPeerConditionFalse(_) => "the last connection to it is still being closed".into(),
        other => root_cause(other),
    }
}

/// Why the first address that was dialled gave no connection.
pub(crate) fn explain_attempt(error: &DialError) -> String {
    match error {
        DialError::Transport(attempts) => attempts
            .first()
            .map_or_else(|| "there is no address".into(), |(_, error)| root_cause(error)),
        other => root_cause(other),
    }
}

/// The innermost cause of an error: what the system said, without the layers that passed it on.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        // An io::Error around another error shows that error as itself and gives that one's source as its own.
        let inner = cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        match inner
            .map(|inner| inner as &(dyn Error + 'static))
            .or_else(|| cause.source())
        {
            Some(next) => cause = next,
            None => return cause.to_string(),
        }
    }
}
