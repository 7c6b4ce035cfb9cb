//! People and machines whom somebody else vouches for: a provider where they signed in, or an issuer that signed an assertion.
//!
//! An account is named by who vouches and what it calls the account, never by an e-mail address or a name: those are given to other
//! people (OpenID Connect Core §5.7).

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// What the `sub` of such accounts begins with. Users of the file begin with `u:`, machines with `m:` (RFC 9700 §4.15).
pub const SUBJECT_PREFIX: &str = "f:";

/// The `sub` of the account that `issuer` calls `subject`: always the same, and not that of any other account. Both are compared as
/// they are, byte by byte.
pub fn subject(issuer: &str, subject: &str) -> String {
    let mut context = Context::new(&SHA256);
    // The length says where the issuer ends.
    context.update(&(issuer.len() as u64).to_be_bytes());
    context.update(issuer.as_bytes());
    context.update(subject.as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(context.finish());
    format!("{SUBJECT_PREFIX}{digest}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_account_has_one_subject_and_shares_it_with_no_other() {
        let accounts = [
            ("https://a.example", "1"),
            ("https://a.example/", "1"),
            ("https://a.example", "2"),
            ("https://a.example1", ""),
            ("https://A.example", "1"),
            ("https://a.example", "1 "),
        ];
        let subjects: HashSet<_> = accounts
            .iter()
            .map(|(issuer, name)| subject(issuer, name))
            .collect();
        assert_eq!(subjects.len(), accounts.len());
        assert_eq!(
            subject("https://a.example", "1"),
            "f:7F8MFlJjQHDwvQQZ6xrWp-9ID7AySDhokvulqCbzulw"
        );
    }
}
