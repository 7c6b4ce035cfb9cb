//! The check of what a token is bound to, for every kind of token.

use super::check::Check;
use crate::refusal::challenge::TokenScheme;
use crate::refusal::reason::Reason;
use crate::token::evidence::binding::Binding;
use crate::token::evidence::possession::{Constraint, Demand};

/// Whether the resource accepts a token that is bound so, from a sender that proves what it must.
///
/// # Errors
/// [`Reason::SenderConstrained`] or [`Reason::UnboundToken`].
pub fn accepts(constraint: &Constraint, binding: Option<&Binding>) -> Result<(), Reason> {
    let scheme = match binding {
        Some(Binding::Key(_)) => TokenScheme::Dpop,
        Some(Binding::Certificate(_)) | None => TokenScheme::Bearer,
    };
    constraint.demanded(binding, scheme).map(drop)
}

/// The check of a binding that was read, or could not be.
pub(super) fn of_binding(
    constraint: &Constraint,
    found: String,
    read: Option<Result<Option<Binding>, Reason>>,
) -> Check {
    let outcome = read.map(|binding| accepts(constraint, binding?.as_ref()));
    Check::new("binding", expected(constraint), found, outcome)
}

fn expected(constraint: &Constraint) -> &'static str {
    use Demand::{Refuse, Require};
    match (constraint.dpop, constraint.mutual_tls) {
        (Require, _) => "cnf with jkt (sender_constraint.dpop: require)",
        (_, Require) => "cnf with x5t#S256 (sender_constraint.mutual_tls: require)",
        (Refuse, Refuse) => "no cnf: a token that any sender may present",
        (_, Refuse) => "no cnf, or jkt and a proof with each request",
        (Refuse, _) => "no cnf, or x5t#S256 and the certificate with each request",
        _ => "no cnf, or jkt and a proof, or x5t#S256 and the certificate, with each request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_accepts_the_bindings_that_it_allows() {
        use Demand::{Allow, Refuse, Require};
        let (key, certificate) = (
            Some(Binding::Key([1; 32])),
            Some(Binding::Certificate([1; 32])),
        );
        let (bound, unbound) = (Err(Reason::SenderConstrained), Err(Reason::UnboundToken));
        for (dpop, mutual_tls, binding, expected) in [
            (Refuse, Refuse, None, Ok(())),
            (Refuse, Refuse, key, bound),
            (Refuse, Refuse, certificate, bound),
            (Allow, Refuse, None, Ok(())),
            (Allow, Refuse, key, Ok(())),
            (Allow, Refuse, certificate, bound),
            (Refuse, Allow, certificate, Ok(())),
            (Require, Refuse, None, unbound),
            (Require, Refuse, key, Ok(())),
            (Require, Allow, certificate, bound),
            (Allow, Require, key, bound),
            (Refuse, Require, None, unbound),
            (Refuse, Require, certificate, Ok(())),
        ] {
            let constraint = Constraint { dpop, mutual_tls };
            assert_eq!(
                accepts(&constraint, binding.as_ref()),
                expected,
                "{constraint:?} {binding:?}"
            );
            let check = of_binding(&constraint, "found".to_owned(), Some(Ok(binding)));
            assert_eq!(check.refusal(), expected.err(), "{check:?}");
        }
    }
}
