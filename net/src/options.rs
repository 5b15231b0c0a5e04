//! What a store is opened with.

/// The settings of one opening.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store's name: whoever opens the same name at the same relays shares the store. At least one character.
    pub name: String,
    /// The multiaddresses of the relays, each ending in `/p2p/<peer id>`. None at all makes a store that stays on this
    /// device.
    pub relays: Vec<String>,
}

impl Options {
    /// The store called `name`, without relays.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            relays: Vec::new(),
        }
    }

    /// Meet other members through these relays.
    pub fn relays(mut self, relays: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.relays = relays.into_iter().map(Into::into).collect();
        self
    }
}
