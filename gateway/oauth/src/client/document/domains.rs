//! The domains whose documents are accepted, where the operator restricts them.

/// The domains whose documents are accepted, in lower case: each with all names below it. Without one, all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(pub Vec<String>);

impl Domains {
    /// Whether documents of this host are accepted. A host is in lower case.
    pub fn accept(&self, host: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|domain| is_below(host, domain))
    }
}

/// Whether the host is this domain, or below it.
fn is_below(host: &str, domain: &str) -> bool {
    let above = host.strip_suffix(domain);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_accepted_from_a_domain_and_the_hosts_below_it() {
        for (domains, host, expected) in [
            (&[][..], "anything.example", true),
            (&["claude.ai"], "claude.ai", true),
            (&["claude.ai"], "docs.claude.ai", true),
            (&["claude.ai"], "a.docs.claude.ai", true),
            (&["claude.ai"], "notclaude.ai", false),
            (&["claude.ai"], "claude.ai.example", false),
            (&["zed.dev", "claude.ai"], "claude.ai", true),
            // A name that nothing is below restricts all the same.
            (&["intranet"], "claude.ai", false),
        ] {
            let own = Domains(domains.iter().map(|domain| (*domain).to_owned()).collect());
            assert_eq!(own.accept(host), expected, "{domains:?} {host}");
        }
    }
}
