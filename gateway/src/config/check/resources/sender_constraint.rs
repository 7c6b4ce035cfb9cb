//! Whether the tokens of a resource are bound to their sender, and what that excludes: API keys, tokens of services that know no resources, and an
//! exchange for the upstream.

use mcp_gateway_core::token::evidence::possession::Way;

use crate::config::{
    check::issuers::Issuers,
    declaration::{
        parts::section::Settings,
        resource::{Demand, SenderConstraint},
    },
    reading::reader::Section,
};

/// What the callers of a resource have, where all of them have something that names no audience and is bound to nothing.
#[derive(Clone, Copy)]
pub(super) enum Simple {
    /// API keys.
    Keys,
    /// Tokens of services that do not know resources.
    OfApplications,
}

impl Simple {
    pub(super) fn of(issuers: &[String], known: &Issuers, has_api_keys: bool) -> Option<Self> {
        match issuers {
            [] => has_api_keys.then_some(Self::Keys),
            named => named
                .iter()
                .all(|name| known.knows_no_resources(name))
                .then_some(Self::OfApplications),
        }
    }

    pub(super) const fn without_audience(self) -> &'static str {
        match self {
            Self::Keys => "has no effect without `issuers`: an API key names its resources",
            Self::OfApplications => {
                "has no effect: tokens of Google and GitHub are for an application (introspection.client_id)"
            }
        }
    }

    const fn unbound(self) -> &'static str {
        match self {
            Self::Keys => "has no effect without `issuers`: an API key is bound to nothing",
            Self::OfApplications => {
                "has no effect: tokens of Google and GitHub are bound to nothing"
            }
        }
    }
}

/// What is demanded of the tokens of a resource; where `exchanges`, they are exchanged for its upstream.
pub(super) fn sender_constraint(
    section: Section<'_>,
    takes_client_certificates: bool,
    simple: Option<Simple>,
    exchanges: bool,
) -> SenderConstraint {
    let mut read = SenderConstraint::read(&section);
    if exchanges {
        // Who gets the exchanged token does not have the key of the caller.
        refuse_bound(&section, "dpop", &mut read.dpop);
        refuse_bound(&section, "mutual_tls", &mut read.mutual_tls);
    }
    for (key, demand) in [("dpop", read.dpop), ("mutual_tls", read.mutual_tls)] {
        // Where API keys are refused so, they are what is reported.
        if demand == Demand::Require && matches!(simple, Some(Simple::OfApplications)) {
            section.report_at(
                key,
                "must not be required: tokens of Google and GitHub are bound to nothing",
                "Remove the key",
            );
        }
    }
    if read.mutual_tls == Demand::Require && read.dpop == Demand::Require {
        section.report_at(
            "mutual_tls",
            "cannot be required together with `dpop`: a token is bound in one way",
            "Require one of the two",
        );
    } else if read.mutual_tls == Demand::Require && !takes_client_certificates {
        section.report_at(
            "mutual_tls",
            "must not be required where no client can present a certificate",
            "Set `client_certificates: request` at a listener with TLS, or `client_certificate_header`",
        );
    }
    if let Some(simple) = simple.filter(|_| read.dpop_nonces) {
        section.report_at("dpop_nonces", simple.unbound(), "Remove it");
    } else if read.dpop_nonces && !read.constraint().accepts(Way::Dpop) {
        section.report_at(
            "dpop_nonces",
            "has no effect where DPoP is refused, or `mutual_tls` is required",
            "Remove it, or set `dpop` to allow or require",
        );
    }
    section.finish();
    read
}

/// Tokens that are exchanged for the upstream must be bound to nothing.
fn refuse_bound(section: &Section<'_>, key: &'static str, demand: &mut Demand) {
    if section.get(key).is_some() && *demand != Demand::Refuse {
        section.report_at(
            key,
            "must be refuse with `token_exchange` of the upstream: a bound token cannot be exchanged",
            "Remove the key: bound tokens are then refused",
        );
    }
    *demand = Demand::Refuse;
}

/// A key is bound to nothing: where bound tokens are required, every key would be refused.
pub(super) fn refuse_keys_of_nobody(
    section: &Section<'_>,
    has_keys: bool,
    demanded: &SenderConstraint,
) {
    let requires = [demanded.dpop, demanded.mutual_tls].contains(&Demand::Require);
    if has_keys && requires {
        section.report_at(
            "api_keys",
            "has no effect where `sender_constraint` requires bound tokens: a key is bound to nothing",
            "Remove it, or set `dpop` and `mutual_tls` of `sender_constraint` to allow or refuse",
        );
    }
}
