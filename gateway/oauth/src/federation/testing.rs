//! A provider for tests.

use mcp_gateway_core::token::{claim_path::ClaimPath, claim_set::ClaimSet};
use serde_json::Value;

use super::{
    account::Account,
    preset::Preset,
    provider::{Provider, RefreshRule},
    rules::may_sign_in::MaySignIn,
};

/// A provider of this kind, where everybody may sign in.
pub(super) fn provider(preset: Preset) -> Provider {
    let row = preset.row();
    Provider {
        name: "corporate".to_owned(),
        preset,
        label: row.label.to_owned(),
        issuer: row.issuer.unwrap_or("https://login.example").to_owned(),
        tenants: Vec::new(),
        client_id: "us".to_owned(),
        scopes: row.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        groups_claim: row.groups_claim.map(ClaimPath::named),
        may_sign_in: MaySignIn::default(),
        scope_rules: None,
        refresh: RefreshRule::Session,
        announces_pkce: row.announces_pkce,
    }
}

/// An account with these claims.
pub(super) fn account(claims: &Value) -> Account {
    Account {
        issuer: "https://login.example".to_owned(),
        subject: "1".to_owned(),
        claims: ClaimSet::parse(claims.to_string()).unwrap(),
        is_of_id_token: false,
    }
}
