//! The check of a token that only its issuer can read: what the issuer said of it.

use super::check::Check;
use crate::refusal::Refusal;
use crate::refusal::found::Listed;

/// The answer of the issuer with this name in the configuration, for a token that must be for one of these audiences.
pub fn of_answer(name: &str, audience: &[String], outcome: Result<(), &Refusal>) -> Check {
    let audience = Listed(audience.iter().map(String::as_str));
    let found = match outcome {
        Ok(()) => "active, and for this resource".to_owned(),
        Err(refusal) => {
            let detail = refusal.detail.as_deref();
            detail
                .unwrap_or_else(|| refusal.reason.row().description)
                .to_owned()
        }
    };
    Check::new(
        "introspection",
        format!(
            "issuer {name} says that it is active (issuers.{name}.introspection), for {audience}"
        ),
        found,
        Some(outcome.map_err(|refusal| refusal.reason)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::fault::Fault;
    use crate::refusal::reason::Reason;

    #[test]
    fn the_answer_of_the_issuer_is_one_check() {
        let audience = ["https://mcp.example.com/mcp".to_owned()];
        let accepted = of_answer("corporate", &audience, Ok(()));
        assert_eq!(accepted.refusal(), None);
        assert!(accepted.expected.contains("https://mcp.example.com/mcp"));
        let fault = Fault::new(Reason::TokenInactive, "issuer corporate says no");
        let refused = of_answer("corporate", &audience, Err(&fault.into()));
        assert_eq!(refused.refusal(), Some(Reason::TokenInactive));
        assert_eq!(refused.found, "issuer corporate says no");
    }
}
