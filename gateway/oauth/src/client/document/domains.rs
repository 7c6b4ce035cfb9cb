//! The domains whose documents are accepted, where the operator restricts them.

use std::{fmt, str::FromStr};

/// The domains whose documents are accepted. Without a rule, all are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains(pub Vec<DomainRule>);

/// One domain, or all names below one: `example.com` or `*.example.com`. The wildcard is not for the domain itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRule {
    /// In lower case, without the wildcard.
    domain: String,
    below: bool,
}

/// The text is not a rule for domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a domain such as `example.com`, or `*.example.com` for all names below it")]
pub struct NotADomainRule;

impl Domains {
    /// Whether documents of this host are accepted. A host is in lower case.
    pub fn accept(&self, host: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|rule| rule.fits(host))
    }
}

impl DomainRule {
    fn fits(&self, host: &str) -> bool {
        match self.below {
            false => host == self.domain,
            true => host
                .strip_suffix(self.domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
        }
    }
}

impl FromStr for DomainRule {
    type Err = NotADomainRule;

    fn from_str(text: &str) -> Result<Self, NotADomainRule> {
        let (domain, below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text, false),
        };
        let is_label = |label: &str| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(is_name)
        };
        let labels = domain.split('.');
        if !domain.contains('.') || !labels.clone().all(is_label) || domain.len() > 253 {
            return Err(NotADomainRule);
        }
        Ok(Self {
            domain: domain.to_ascii_lowercase(),
            below,
        })
    }
}

impl fmt::Display for DomainRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.below {
            formatter.write_str("*.")?;
        }
        formatter.write_str(&self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_one_domain_or_for_all_below_it() {
        let domains =
            |rules: &[&str]| Domains(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        for (rules, host, expected) in [
            (&[][..], "claude.ai", true),
            (&["claude.ai"], "claude.ai", true),
            (&["Claude.AI"], "claude.ai", true),
            (&["claude.ai"], "a.claude.ai", false),
            (&["claude.ai"], "notclaude.ai", false),
            (&["claude.ai"], "claude.ai.evil.example", false),
            (&["*.claude.ai"], "a.claude.ai", true),
            (&["*.claude.ai"], "b.a.claude.ai", true),
            (&["*.claude.ai"], "claude.ai", false),
            (&["*.claude.ai"], "notclaude.ai", false),
            (&["a.example", "claude.ai"], "claude.ai", true),
        ] {
            assert_eq!(domains(rules).accept(host), expected, "{rules:?} {host}");
        }
    }

    #[test]
    fn what_is_not_a_domain_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "com",
            "a..b",
            ".a.b",
            "a.b.",
            "a.*.b",
            "*a.b",
            "https://a.b",
            "a.b/c",
            "a.b:443",
            "ä.example",
            "a b.c",
        ] {
            assert_eq!(text.parse::<DomainRule>(), Err(NotADomainRule), "{text:?}");
        }
        let rule: DomainRule = "*.Example.com".parse().unwrap();
        assert_eq!(rule.to_string(), "*.example.com");
    }
}
