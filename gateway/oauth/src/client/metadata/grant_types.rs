//! Which grant types a client asks for. Types that the server does not have are left out, as long as one remains: clients list all
//! that they know (RFC 7591 §2 lets the server replace what is asked for).

use crate::client::model::GrantTypes;

use super::{fault::MetadataFault, members::Metadata};

/// The most grant types and response types that a client lists.
const MAX_TYPES: usize = 16;

/// The longest name of a type, in bytes.
const MAX_TYPE_BYTES: usize = 128;

/// Names in metadata of what a client can register for, in the order of the fields of [`GrantTypes`].
const NAMES: [&str; 3] = ["authorization_code", "refresh_token", "client_credentials"];

const NO_GRANT_TYPES: GrantTypes = GrantTypes {
    authorization_code: false,
    refresh_token: false,
    client_credentials: false,
    jwt_bearer: false,
    token_exchange: false,
};

/// For whom the client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// For people, who sign in; with refresh tokens or without.
    ForPeople {
        /// Whether it wants refresh tokens.
        refresh: bool,
    },
    /// For itself: `client_credentials` only.
    ForItself,
}

impl Asked {
    /// What the client may do at the token endpoint.
    pub const fn grant_types(self) -> GrantTypes {
        match self {
            Self::ForPeople { refresh } => GrantTypes {
                authorization_code: true,
                refresh_token: refresh,
                ..NO_GRANT_TYPES
            },
            Self::ForItself => GrantTypes {
                client_credentials: true,
                ..NO_GRANT_TYPES
            },
        }
    }

    /// From `grant_types` and `response_types`. A client that lists no grant types gets codes and refresh tokens: without these its
    /// users would sign in again each time that an access token ends. A client that asks for people never acts for itself as well.
    pub(super) fn read(metadata: &Metadata<'_>) -> Result<Self, MetadataFault> {
        let asked = Self::of_grant_types(metadata)?;
        let response_types = metadata.texts("response_types", MAX_TYPES, MAX_TYPE_BYTES)?;
        let has_code = |types: &Vec<String>| types.iter().any(|one| one == "code");
        if asked != Self::ForItself && response_types.is_some_and(|types| !has_code(&types)) {
            return Err(MetadataFault::ResponseTypes);
        }
        Ok(asked)
    }

    fn of_grant_types(metadata: &Metadata<'_>) -> Result<Self, MetadataFault> {
        let Some(listed) = metadata.texts("grant_types", MAX_TYPES, MAX_TYPE_BYTES)? else {
            return Ok(Self::ForPeople { refresh: true });
        };
        let [code, refresh, own] = NAMES.map(|name| listed.iter().any(|one| one == name));
        match (code, refresh, own) {
            (true, refresh, _) => Ok(Self::ForPeople { refresh }),
            (false, true, _) => Err(MetadataFault::RefreshTokenAlone),
            (false, false, true) => Ok(Self::ForItself),
            (false, false, false) => Err(MetadataFault::GrantTypes),
        }
    }
}

/// Their names in metadata.
pub fn grant_type_names(types: GrantTypes) -> Vec<&'static str> {
    let has = [
        types.authorization_code,
        types.refresh_token,
        types.client_credentials,
    ];
    let named = NAMES.into_iter().zip(has);
    named
        .filter_map(|(name, has)| has.then_some(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Asked, MetadataFault> {
        Asked::read(&Metadata::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn a_client_asks_for_people_or_for_itself() {
        let people = |refresh| Ok(Asked::ForPeople { refresh });
        for (json, expected) in [
            ("{}", people(true)),
            (
                r#"{"grant_types":null,"response_types":null}"#,
                people(true),
            ),
            (r#"{"grant_types":["authorization_code"]}"#, people(false)),
            (
                r#"{"grant_types":["refresh_token","authorization_code"],"response_types":["code","id_token"]}"#,
                people(true),
            ),
            (
                r#"{"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"]}"#,
                people(true),
            ),
            (
                r#"{"grant_types":["authorization_code","client_credentials"]}"#,
                people(false),
            ),
            (
                r#"{"grant_types":["client_credentials"],"response_types":[]}"#,
                Ok(Asked::ForItself),
            ),
            (r#"{"grant_types":[]}"#, Err(MetadataFault::GrantTypes)),
            (
                r#"{"grant_types":["implicit","password"]}"#,
                Err(MetadataFault::GrantTypes),
            ),
            (
                r#"{"grant_types":["refresh_token"]}"#,
                Err(MetadataFault::RefreshTokenAlone),
            ),
            (
                r#"{"response_types":["token"]}"#,
                Err(MetadataFault::ResponseTypes),
            ),
            (
                r#"{"grant_types":["authorization_code"],"response_types":[]}"#,
                Err(MetadataFault::ResponseTypes),
            ),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
        assert!(matches!(
            read(r#"{"grant_types":"authorization_code"}"#),
            Err(MetadataFault::Type { .. })
        ));
    }

    #[test]
    fn grant_types_have_their_names() {
        let people = Asked::ForPeople { refresh: true }.grant_types();
        assert_eq!(
            grant_type_names(people),
            ["authorization_code", "refresh_token"]
        );
        let own = Asked::ForItself.grant_types();
        assert_eq!(grant_type_names(own), ["client_credentials"]);
    }
}
