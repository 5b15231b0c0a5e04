//! Errors on their way to the page: a stable code beside the words.
//!
//! Every failure is thrown as an `Error` with a `code` property; the facade makes its `GossipStoreError` of it. Codes are
//! promises to applications: `docs/errors.md` lists them.

use std::fmt;

use gossipstore_core::{
    membership::InvitationError,
    replica::{CommandError, StorageFailure},
};
use gossipstore_net::{ImportError, OpenError, StoreError, storage::StorageError};
use wasm_bindgen::JsValue;

/// Why a call was not carried out, ready to be thrown.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    /// A defect of this package, not of the application or the network.
    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        Self {
            code: "Internal",
            message: format!("a defect in GossipStore, please report it: {what}"),
        }
    }

    /// The bytes handed in as a context never came from a store.
    pub(crate) fn invalid_context() -> Self {
        Self {
            code: "InvalidContext",
            message: "the context is not one that getSiblings returned; pass it on unchanged".into(),
        }
    }
}

/// The code of what cannot be stored at present.
pub(crate) fn storage_code(failure: &StorageFailure) -> &'static str {
    if failure.is_full { "QuotaExceeded" } else { "NotDurable" }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::KeyEmpty => "KeyEmpty",
            CommandError::KeyTooLong { .. } => "KeyTooLong",
            CommandError::ValueTooLarge { .. } => "ValueTooLarge",
            CommandError::TransactionTooLarge { .. } => "TransactionTooLarge",
            CommandError::NotACounter { .. } => "NotACounter",
            CommandError::CounterOverflow { .. } => "CounterOverflow",
            CommandError::NotDurable(failure) | CommandError::StorageFails(failure) => storage_code(failure),
            _ => return Self::internal(error),
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Command(error) => error.into(),
            StoreError::Closed => Self {
                code: "Closed",
                message: error.to_string(),
            },
            StoreError::Superseded => Self {
                code: "Superseded",
                message: error.to_string(),
            },
            StoreError::Unreadable { .. } => Self {
                code: "StorageUnreadable",
                message: error.to_string(),
            },
            StoreError::ValueLost { .. } => Self {
                code: "ValueLost",
                message: error.to_string(),
            },
            StoreError::PresenceTooLarge { .. } => Self {
                code: "ValueTooLarge",
                message: error.to_string(),
            },
            StoreError::MergeFailed => Self {
                code: "ImportFailed",
                message: error.to_string(),
            },
            _ => Self::internal(error),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let code = match error {
            ImportError::File(_) | ImportError::Replica(_) => "InvalidFile",
            ImportError::System { .. } => "SystemRefused",
            ImportError::Store(error) => return error.into(),
            _ => return Self::internal(error),
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<InvitationError> for Failure {
    fn from(error: InvitationError) -> Self {
        let code = match error {
            InvitationError::Expired(_) => "InvitationExpired",
            _ => "InvalidInvitation",
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<StorageError> for Failure {
    /// The storage cannot be opened.
    fn from(error: StorageError) -> Self {
        Self {
            code: "StorageRefused",
            message: error.to_string(),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let code = match error {
            OpenError::EmptyName | OpenError::TooManyRelays { .. } => "InvalidOptions",
            OpenError::InvalidRelayAddress { .. } => "InvalidRelayAddress",
            OpenError::Unreadable { .. } => "StorageUnreadable",
            OpenError::OtherStore { .. } => "OtherStore",
            OpenError::Unkeepable(StorageError::Full { .. }) => "QuotaExceeded",
            OpenError::Unkeepable(_) => "StorageRefused",
            OpenError::System { .. } => "SystemRefused",
            _ => return Self::internal(error),
        };
        Self {
            code,
            message: error.to_string(),
        }
    }
}

impl From<serde_wasm_bindgen::Error> for Failure {
    fn from(error: serde_wasm_bindgen::Error) -> Self {
        Self::internal(error)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error = js_sys::Error::new(&failure.message);
        // Setting a property of a fresh Error cannot fail.
        let _ = js_sys::Reflect::set(&error, &"code".into(), &failure.code.into());
        error.into()
    }
}
