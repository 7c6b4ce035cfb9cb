//! Values of the core as they stand in rows.

use mcp_gateway_core::{scope::ScopeSet, time::UnixTime};
use serde::{Deserialize, Serialize};

/// A set of scopes in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeSetText(pub ScopeSet);

impl TryFrom<String> for ScopeSetText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        ScopeSet::parse(&text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

impl From<ScopeSetText> for String {
    fn from(scopes: ScopeSetText) -> Self {
        scopes.0.to_string()
    }
}

/// An instant in a row, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct UnixTimeText(pub UnixTime);

impl From<i64> for UnixTimeText {
    fn from(seconds: i64) -> Self {
        Self(UnixTime::new(seconds))
    }
}

impl From<UnixTimeText> for i64 {
    fn from(time: UnixTimeText) -> Self {
        time.0.secs()
    }
}

impl From<UnixTime> for UnixTimeText {
    fn from(time: UnixTime) -> Self {
        Self(time)
    }
}
