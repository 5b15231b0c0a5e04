//! The relay's identity: the key whose public half stands at the end of its addresses.

use std::{
    error::Error,
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use libp2p::{PeerId, identity::Keypair};

/// An Ed25519 key pair. As a file: libp2p's protobuf encoding of the private key, 68 bytes.
#[derive(Clone, Debug)]
pub struct Identity {
    keypair: Keypair,
}

/// Why a key file could not be used. Nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file exists and could not be read.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The file is no key.
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// The file did not exist and could not be made.
    NotCreated {
        /// Which file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read the identity file {}: {error}", path.display())
            }
            Self::NotAKey { path } => write!(
                f,
                "the identity file {} holds no libp2p key; restore it from a copy, or move it away to get a new identity",
                path.display()
            ),
            Self::NotCreated { path, error } => {
                write!(f, "cannot create the identity file {}: {error}", path.display())
            }
        }
    }
}

impl Error for IdentityError {}

impl Identity {
    /// A new one, which ends with this process.
    pub fn fresh() -> Self {
        Self {
            keypair: Keypair::generate_ed25519(),
        }
    }

    /// The one in a file. Makes both if there is none: the file can then be read by its owner only.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn at(path: &Path) -> Result<Self, IdentityError> {
        match fs::read(path) {
            Ok(bytes) => Keypair::from_protobuf_encoding(&bytes)
                .map(|keypair| Self { keypair })
                .map_err(|_| IdentityError::NotAKey { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::fresh();
                identity.save(path).map_err(|error| IdentityError::NotCreated {
                    path: path.to_owned(),
                    error,
                })?;
                Ok(identity)
            }
            Err(error) => Err(IdentityError::Unreadable {
                path: path.to_owned(),
                error,
            }),
        }
    }

    /// The name that others know it by.
    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    pub(crate) fn into_keypair(self) -> Keypair {
        self.keypair
    }

    /// Writes the key beside its place and moves it there whole, so that no half of a key is ever found.
    fn save(&self, path: &Path) -> io::Result<()> {
        let bytes = self
            .keypair
            .to_protobuf_encoding()
            .expect("an Ed25519 key can be encoded");
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = path.with_file_name(name);
        let written = create_private(&beside).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        });
        if written.is_err() {
            // What failed is told; that the rest of it could not be removed either, nobody needs to know.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
