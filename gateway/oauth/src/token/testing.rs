//! What the tests of this module share: a server, its keys, clients, and a user who has signed in.

use std::{cell::Cell, collections::BTreeMap, sync::LazyLock, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_gateway_core::{scope::ScopeSet, scope_prefix::ScopePrefixes, time::UnixTime};

use super::{
    code::{self, Draft, Outcome, Redemption},
    error::Refused,
    issued::Issued,
    refresh::{self, Refresh},
    scopes::Allowance,
};
use crate::{
    client::{
        model::{Client, ClientMethod, ClientOrigin, GrantTypes, SecretDigest},
        standing::Standing,
    },
    federation::sign_in::Enough,
    id::Id,
    keys::{
        ServerKeys,
        ring::Ring,
        signing_key::{SigningAlgorithm, tests::key},
    },
    profile::{Lifetimes, ResourceProfile, ScopeProfile, ServerProfile},
    store::{
        memory::MemoryRows,
        rows::{KeyAndRow, Rows, StoreError, Table},
        text::ScopeSetText,
    },
};

pub(super) const NOW: UnixTime = UnixTime::new(1_800_000_000);
pub(super) const RESOURCE: &str = "https://mcp.example/mcp";
pub(super) const OTHER_RESOURCE: &str = "https://mcp.example/other";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const REDIRECT_URI: &str = "http://127.0.0.1:5000/callback";

static RING: LazyLock<Ring> = LazyLock::new(|| Ring::new(key(SigningAlgorithm::Es256), NOW));

pub(super) fn ring() -> &'static Ring {
    &RING
}

/// Seconds after the consent.
pub(super) fn later(seconds: u64) -> UnixTime {
    NOW.plus(Duration::from_secs(seconds))
}

pub(super) fn set(text: &str) -> ScopeSet {
    ScopeSet::parse(text).unwrap()
}

pub(super) fn keys() -> ServerKeys {
    ServerKeys::new(&[[1; 32]]).unwrap()
}

pub(super) fn server() -> ServerProfile {
    let scope = |scope: &str| ScopeProfile {
        scope: scope.to_owned(),
        description: None,
    };
    let resource = |uri: &str| ResourceProfile {
        uri: uri.to_owned(),
        name: None,
        required: set("read"),
        scopes: ["read", "write", "admin"].map(scope).to_vec(),
        scope_prefixes: ScopePrefixes::default(),
    };
    ServerProfile {
        issuer: "https://mcp.example".to_owned(),
        resources: [RESOURCE, OTHER_RESOURCE].map(resource).to_vec(),
        lifetimes: Lifetimes::default(),
    }
}

/// The same server, whose scopes have a prefix.
pub(crate) fn prefixed(prefix: &str) -> ServerProfile {
    let mut server = server();
    let prefixes = ScopePrefixes::new(&[prefix.to_owned()]).unwrap();
    for resource in &mut server.resources {
        resource.required = prefixes.all_with_prefix(&resource.required).into_owned();
        for scope in &mut resource.scopes {
            scope.scope = prefixes.with_prefix(&scope.scope).into_owned();
        }
        resource.scope_prefixes = prefixes.clone();
    }
    server
}

pub(super) fn secret() -> ClientMethod {
    ClientMethod::ClientSecretBasic(SecretDigest {
        key: [0; 4],
        tag: Vec::new(),
    })
}

/// A public client that acts for people.
pub(super) fn client(id: &str) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: id.to_owned(),
        name: None,
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        method: ClientMethod::None,
        grant_types: GrantTypes {
            authorization_code: true,
            refresh_token: true,
            ..GrantTypes::default()
        },
        scopes: None,
        origin: ClientOrigin::Configured,
    }
}

/// A client that nobody knows.
pub(super) fn provisional(id: &str) -> Client {
    Client {
        origin: ClientOrigin::Provisional,
        ..client(id)
    }
}

/// A client that authenticates.
pub(super) fn confidential(id: &str) -> Client {
    Client {
        method: secret(),
        ..client(id)
    }
}

/// A configured client that acts for itself.
pub(super) fn machine(id: &str, scopes: &str) -> Client {
    Client {
        method: secret(),
        grant_types: GrantTypes {
            client_credentials: true,
            ..GrantTypes::default()
        },
        scopes: Some(ScopeSetText(set(scopes))),
        ..client(id)
    }
}

/// What alice consents to.
pub(super) fn draft(client: &str) -> Draft {
    use aws_lc_rs::digest::{SHA256, digest};
    Draft {
        client: client.to_owned(),
        standing: Standing::Public,
        redirect_uri: REDIRECT_URI.to_owned(),
        code_challenge: URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes())),
        key: None,
        resource: RESOURCE.to_owned(),
        scopes: set("read write"),
        subject: "u:alice".to_owned(),
        vouched: None,
        identity: "first".to_owned(),
        signed_in: NOW.minus(Duration::from_secs(60)),
        is_refreshable: true,
    }
}

pub(super) const INTERACTION: Id = Id::new([7; 16]);

/// Consents, and returns the code.
pub(super) fn consent(rows: &mut dyn Rows, draft: &Draft, now: UnixTime) -> String {
    let lifetimes = server().lifetimes;
    let outcome = code::issue(rows, &keys(), INTERACTION, draft, &lifetimes, now);
    let Outcome::Issued(code) = outcome.unwrap() else {
        panic!("the code was redeemed");
    };
    code.expose().to_owned()
}

/// A redemption in which everything fits; `grant` names what it makes.
pub(super) fn redemption<'a>(client: &'a Client, code: &'a str, grant: u8) -> Redemption<'a> {
    Redemption {
        client,
        code,
        redirect_uri: Some(REDIRECT_URI),
        code_verifier: Some(VERIFIER),
        key: None,
        proof: None,
        resource: Some(RESOURCE),
        enough: Enough::Recent,
        allowance: &|_| Allowance::Everything,
        grant: Id::new([grant; 16]),
        max_grants: 1000,
        is_undecided: false,
        max_grants_of_user: 1000,
    }
}

/// A store in which alice has signed in to a client at [`NOW`].
pub(super) fn signed_in(client_id: &str) -> (MemoryRows, Issued) {
    let mut rows = MemoryRows::default();
    let code = consent(&mut rows, &draft(client_id), NOW);
    let client = client(client_id);
    let redemption = redemption(&client, &code, 1);
    let issued = code::redeem(&mut rows, &keys(), &server(), &redemption, NOW);
    (rows, issued.unwrap().unwrap())
}

/// Refreshes with all that the grant has.
pub(super) fn refresh_at(
    rows: &mut MemoryRows,
    client_id: &str,
    token: &str,
    now: UnixTime,
) -> Result<Issued, Refused> {
    let client = client(client_id);
    let request = Refresh {
        client: &client,
        refresh_token: token,
        scope: None,
        key: None,
        proof: None,
        resource: None,
        enough: Enough::Recent,
        allowance: &|_| Allowance::Everything,
    };
    transact(rows, |rows| {
        refresh::refresh(rows, &keys(), &server(), &request, now)
    })
    .unwrap()
}

/// Runs a change as a store does: all of it or nothing.
pub(super) fn transact<T>(
    rows: &mut MemoryRows,
    change: impl Fn(&mut dyn Rows) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut copy = rows.clone();
    let done = change(&mut copy)?;
    *rows = copy;
    Ok(done)
}

/// Rows of which so many reads and writes succeed, and then none does.
struct Failing<'a> {
    rows: &'a mut MemoryRows,
    left: Cell<usize>,
}

impl Failing<'_> {
    fn count_down(&self) -> Result<(), StoreError> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or_default());
        left.map(|_| ())
            .ok_or_else(|| StoreError::Failed("I/O error".to_owned()))
    }
}

impl Rows for Failing<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.count_down()?;
        self.rows.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], row: &[u8]) -> Result<(), StoreError> {
        self.count_down()?;
        self.rows.put(table, key, row)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.count_down()?;
        self.rows.remove(table, key)
    }

    fn after(&self, table: Table, after: &[u8], most: usize) -> Result<Vec<KeyAndRow>, StoreError> {
        self.count_down()?;
        self.rows.after(table, after, most)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        self.count_down()?;
        self.rows.count(table)
    }
}

/// Lets each read and write of a change fail in turn: then the change fails too. Returns how many there are.
pub(super) fn fails_with_each_access<T>(
    rows: &MemoryRows,
    change: impl Fn(&mut dyn Rows) -> Result<T, StoreError>,
) -> usize {
    for successes in 0..100 {
        let mut copy = rows.clone();
        let mut failing = Failing {
            rows: &mut copy,
            left: Cell::new(successes),
        };
        let is_done = change(&mut failing).is_ok();
        if failing.left.get() > 0 || is_done {
            assert!(is_done && failing.left.get() == 0);
            return successes;
        }
    }
    panic!("the change has no end");
}

/// All rows, to compare.
pub(super) fn all_rows(rows: &MemoryRows) -> BTreeMap<&'static str, Vec<KeyAndRow>> {
    let all = |table: Table| rows.after(table, &[], usize::MAX).unwrap();
    Table::ALL.map(|table| (table.name(), all(table))).into()
}
