//! Issuer identifiers of many tenants: `https://login.microsoftonline.com/{tenantid}/v2.0`. Only the tenants that the operator
//! lists are trusted, so a template never judges a token: it is written out for each tenant, and those are compared exactly.

/// What stands for the tenant. Entra writes it so in its metadata and in its key sets.
pub const TENANT: &str = "{tenantid}";

/// The issuer identifier of one tenant.
pub fn for_tenant(template: &str, tenant: &str) -> String {
    template.replace(TENANT, tenant)
}

/// Whether a text is the id of a tenant as tokens have it: a UUID in lower case (RFC 9562 §4).
pub fn is_tenant_id(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => is_hex(byte),
        })
}

/// Whether the issuer that a key names is this one. The tenant in a template stands for one segment of a path.
pub(crate) fn names(own: &str, issuer: &str) -> bool {
    let Some((before, after)) = own.split_once(TENANT) else {
        return own == issuer;
    };
    let tenant = issuer
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    tenant.is_some_and(is_tenant_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-4000-8000-00000000000a";
    const V2: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

    #[test]
    fn a_tenant_is_a_uuid_in_lower_case() {
        assert!(is_tenant_id(A));
        for text in [
            "",
            "common",
            "organizations",
            "contoso.onmicrosoft.com",
            "*",
            TENANT,
            "AAAAAAAA-0000-4000-8000-00000000000A",
            "aaaaaaaa00004000800000000000000a",
            "aaaaaaaa-0000-4000-8000-00000000000",
            "aaaaaaaa-0000-4000-8000-0000000000/a",
            "{aaaaaaa-0000-4000-8000-00000000000a}",
            "aaaaaaaa-0000-4000-8000-00000000000ä",
        ] {
            assert!(!is_tenant_id(text), "{text}");
        }
    }

    #[test]
    fn a_key_names_one_issuer_or_every_tenant_of_a_template() {
        let issuer = for_tenant(V2, A);
        assert_eq!(
            issuer,
            format!("https://login.microsoftonline.com/{A}/v2.0")
        );
        for (own, expected) in [
            (V2, true),
            (issuer.as_str(), true),
            ("https://login.microsoftonline.com/{tenantid}/", false),
            ("https://login.microsoftonline.us/{tenantid}/v2.0", false),
            ("https://sts.windows.net/{tenantid}/", false),
            (
                "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(names(own, &issuer), expected, "{own}");
        }
        for issuer in [
            "https://login.microsoftonline.com//v2.0",
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://login.microsoftonline.com/a/b/v2.0",
            "https://login.microsoftonline.com/v2.0",
        ] {
            assert!(!names(V2, issuer), "{issuer}");
        }
    }
}
