//! Limits of one principal in the summary of `check` that leave nothing to all others.

use crate::{
    config::{Config, DecisionPoint, Resource, UpstreamCredentials},
    limits::overload::descriptors::Capacity,
};

/// A limit of one principal, and the limit of all of which it is a part.
struct Limits {
    own: (&'static str, usize),
    all: (&'static str, usize),
}

/// Warnings about what one principal can use up alone.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let resources = config.resources.iter().flat_map(exchanges);
    let points = config.decision_points.values().map(questions);
    let of_all = of_all(config).map(|limits| ("limits".to_owned(), limits));
    let all = of_all.into_iter().chain(points).chain(resources);
    all.filter_map(|(section, limits)| limits.warning(&section))
        .collect()
}

impl Limits {
    fn warning(&self, section: &str) -> Option<String> {
        let ((own_key, own), (all_key, all)) = (self.own, self.all);
        (own >= all).then(|| {
            format!(
                "`{own_key}` of {section} is {own}, and `{all_key}` is {all}: one principal can use up what all have together"
            )
        })
    }
}

fn of_all(config: &Config) -> [Limits; 2] {
    let limits = &config.limits;
    let own = Capacity::divide(None, (0, 0), limits).calls_per_principal;
    [
        Limits {
            own: ("calls_per_principal", own),
            all: ("calls", limits.calls),
        },
        Limits {
            own: (
                "listening_streams_per_principal",
                limits.listening_streams_per_principal,
            ),
            all: ("listening_streams", limits.listening_streams),
        },
    ]
}

fn questions(point: &DecisionPoint) -> (String, Limits) {
    let settings = &point.settings;
    let limits = Limits {
        own: ("questions_per_principal", settings.questions_per_principal),
        all: ("questions", settings.questions),
    };
    (format!("decision_points.{}", point.name), limits)
}

fn exchanges(resource: &Resource) -> Vec<(String, Limits)> {
    let Some(UpstreamCredentials::Token(source)) = &resource.upstream_credentials else {
        return Vec::new();
    };
    let Some(exchange) = &source.exchange else {
        return Vec::new();
    };
    let settings = &exchange.settings;
    let limits = [
        Limits {
            own: ("calls_per_principal", settings.calls_per_principal),
            all: ("calls", settings.calls),
        },
        Limits {
            own: (
                "cached_tokens_per_principal",
                settings.cached_tokens_per_principal,
            ),
            all: ("cached_tokens", settings.cached_tokens),
        },
    ];
    let section = format!("token_exchange of {}", resource.uri);
    limits.map(|limits| (section.clone(), limits)).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn warned(exchange: &str, point: &str, limits: &str) -> Vec<String> {
        let text = format!(
            "public_url: https://mcp.example.com\nlisten: [{{ address: '127.0.0.1:8080' }}]\n\
             issuers: {{ a: {{ issuer: 'https://a.example' }} }}\n\
             decision_points: {{ pdp: {{ url: 'https://pdp.example.com', {point} }} }}\n\
             limits: {{ {limits} }}\n\
             resources: [{{ path: /a, issuers: [a], decision_point: pdp, policy: {{ default: allow }}, upstream: {{ url: 'http://127.0.0.1:9/mcp', \
             credentials: {{ token_exchange: {{ issuer: 'https://a.example', client_id: gate, client_auth: none, {exchange} }} }} }} }}]\n"
        );
        let config = parse(&text, Path::new(""), &Environment::default());
        warnings(&config.unwrap_or_else(|findings| panic!("{findings:#?}")))
    }

    #[test]
    fn a_principal_that_can_use_up_what_all_share_is_warned_of() {
        assert_eq!(
            warned("timeout: 5s", "timeout: 1s", "calls: 1000"),
            Vec::<String>::new()
        );
        let less = warned(
            "calls: 11",
            "questions: 17",
            "calls: 4, listening_streams: 17",
        );
        assert_eq!(less, Vec::<String>::new());
        for (exchange, point, limits, expected) in [
            (
                "calls: 10",
                "timeout: 1s",
                "calls: 1000",
                "`calls_per_principal` of token_exchange of https://mcp.example.com/a is 10, and `calls` is 10: one principal can use up what all have together",
            ),
            (
                "cached_tokens: 40",
                "timeout: 1s",
                "calls: 1000",
                "`cached_tokens_per_principal` of token_exchange of https://mcp.example.com/a is 50, and `cached_tokens` is 40",
            ),
            (
                "timeout: 5s",
                "questions: 16",
                "calls: 1000",
                "`questions_per_principal` of decision_points.pdp is 16, and `questions` is 16",
            ),
            (
                "timeout: 5s",
                "timeout: 1s",
                "calls: 60, calls_per_principal: 61",
                "`calls_per_principal` of limits is 61, and `calls` is 60",
            ),
            (
                "timeout: 5s",
                "timeout: 1s",
                "listening_streams: 16",
                "`listening_streams_per_principal` of limits is 16, and `listening_streams` is 16",
            ),
        ] {
            let found = warned(exchange, point, limits);
            assert!(
                found.len() == 1 && found.iter().all(|line| line.starts_with(expected)),
                "{expected}: {found:?}"
            );
        }
    }
}
