//! How well the server knows a client, from worst to best. What was made for a client that it knew better is not given to one that
//! merely has the same id: a client that is removed from the configuration, or that deletes its registration, must not go on as one
//! that nobody knows, and no client gets rid of its secret that way (RFC 6749 §4.1.3, §6).

use serde::{Deserialize, Serialize};

use super::model::{Client, ClientMethod, ClientOrigin};

/// How well the server knows a client.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody knows its id.
    Provisional,
    /// Somebody registered it, and it does not authenticate. Rows without a standing count as this.
    #[default]
    Public,
    /// It authenticates.
    Confidential,
}

impl Standing {
    /// Its name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }
}

impl Client {
    /// How well the server knows it.
    pub const fn standing(&self) -> Standing {
        match (&self.origin, &self.method) {
            (ClientOrigin::Provisional, _) => Standing::Provisional,
            (_, ClientMethod::None) => Standing::Public,
            _ => Standing::Confidential,
        }
    }

    /// Whether it may use what was made for the client with this id when it had this standing.
    pub fn is_successor_of(&self, id: &str, standing: Standing) -> bool {
        self.id == id && self.standing() >= standing
    }
}
