//! The rows compared with the published schemas, and how names without a row are handled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cel::RequestFacts;
use crate::cel::kept_claims::KeptClaims;
use crate::mcp::change::Change;
use crate::mcp::version::LEGACY;
use crate::principal::Principal;
use crate::rate::token_bucket::Rate;
use crate::rate::{LimitId, Limiter, Per, RateLimit};
use crate::refusal::reason::Reason;
use crate::scope::ScopeSet;
use crate::time::UnixTime;
use crate::{
    mcp::operation::Operation,
    policy::{
        Caller, DefaultDecision, Hierarchy, Policy, Rule, Rules, decision_point::asker::Asker,
        hide::Hide,
    },
};

/// The revision of the methods of the tasks extension in the list of published methods. It belongs to the modern era.
const TASKS_EXTENSION: &str = "tasks";

/// What the published schemas say about one method: revisions, senders and form.
#[derive(Debug, Default)]
struct Published<'a> {
    revisions: BTreeSet<&'a str>,
    senders: BTreeSet<&'a str>,
    forms: BTreeSet<&'a str>,
}

fn published() -> BTreeMap<&'static str, Published<'static>> {
    let mut all: BTreeMap<_, Published<'_>> = BTreeMap::new();
    let lines = include_str!("published.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [revision, method, sender, form] = words[..] else {
            panic!("{line}");
        };
        let published = all.entry(method).or_default();
        published.revisions.insert(revision);
        published.senders.insert(sender);
        published.forms.insert(match form {
            "input" => "request",
            other => other,
        });
    }
    all
}

impl Published<'_> {
    fn eras(&self) -> Eras {
        let is_legacy = |revision: &&str| LEGACY.contains(revision);
        let mut revisions = self.revisions.iter();
        match (revisions.clone().any(is_legacy), revisions.all(is_legacy)) {
            (_, true) => Eras::Legacy,
            (true, false) => Eras::Both,
            (false, false) => Eras::Modern,
        }
    }

    fn sender(&self) -> Sender {
        match (
            self.senders.contains("client"),
            self.senders.contains("server"),
        ) {
            (true, true) => Sender::Either,
            (true, false) => Sender::Client,
            _ => Sender::Server,
        }
    }
}

#[test]
fn every_published_method_has_a_row_that_agrees_with_its_schemas() {
    let published = published();
    let revisions: BTreeSet<_> = published.values().flat_map(|one| &one.revisions).collect();
    let known = LEGACY[1..].iter().chain(&["2026-07-28", TASKS_EXTENSION]);
    assert_eq!(revisions, known.collect());
    for (name, published) in &published {
        let method = McpMethod::of(name);
        assert!(method.is_known(), "{name} has no row");
        let row = method.row();
        assert_eq!(row.eras, published.eras(), "{name}");
        assert_eq!(row.sender, published.sender(), "{name}");
        let form = match row.form {
            MessageForm::Request => "request",
            MessageForm::Notification => "notification",
        };
        assert_eq!(published.forms, BTreeSet::from([form]), "{name}");
    }
    let rows: BTreeSet<_> = McpMethod::ALL.iter().map(|method| method.name()).collect();
    assert_eq!(rows, published.into_keys().collect());
}

#[test]
fn every_row_is_found_only_by_its_exact_name() {
    for method in McpMethod::ALL {
        let name = method.name();
        assert_eq!(McpMethod::of(name), *method);
        for near in [
            name.to_uppercase(),
            format!("{name} "),
            format!(" {name}"),
            format!("{name}\0"),
            name[1..].to_owned(),
            name[..name.len() - 1].to_owned(),
        ] {
            // A name that lacks a character does not match another row.
            assert!(!McpMethod::of(&near).is_known(), "{near:?}");
        }
    }
}

#[test]
fn an_unknown_name_belongs_to_the_family_of_its_prefix() {
    for (name, expected) in [
        ("notifications/", McpMethod::UnknownNotification),
        ("notifications/anything", McpMethod::UnknownNotification),
        ("tasks/", McpMethod::UnknownOfTasks),
        ("tasks/more", McpMethod::UnknownOfTasks),
        ("tasks/get ", McpMethod::UnknownOfTasks),
        ("resources/more", McpMethod::UnknownOfResources),
        ("tasks", McpMethod::Unknown),
        ("Tasks/get", McpMethod::Unknown),
        ("notification/initialized", McpMethod::Unknown),
        ("", McpMethod::Unknown),
    ] {
        assert_eq!(McpMethod::of(name), expected, "{name:?}");
    }
}

/// Names that MCP does not have, and methods that only servers send: the strictest treatment applies to a client that sends one.
const STRICT: &[&str] = &[
    "unknown/method",
    "Tools/Call",
    "tools/call ",
    "tools/call\0",
    "tools/lists",
    "tools/",
    "resources/more",
    "tasks/more",
    "Initialize",
    "initialize ",
    "ping\n",
    "notification/initialized",
    "Notifications/initialized",
    "",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
];

#[test]
fn policy_rules_apply_to_a_method_without_a_row() {
    let denies_all = Rule {
        deny: Some("no".into()),
        ..Rule::default()
    };
    for method in STRICT {
        assert!(!McpMethod::of(method).is_always_open(), "{method:?}");
        for (default, rules, expected) in [
            (DefaultDecision::Deny, vec![], Some(Reason::PolicyDenied)),
            (
                DefaultDecision::Allow,
                vec![denies_all.clone()],
                Some(Reason::PolicyDenied),
            ),
            (DefaultDecision::Allow, vec![], None),
        ] {
            assert_eq!(refused(default, rules, method), expected, "{method:?}");
        }
    }
}

#[test]
fn a_method_without_a_row_counts_as_a_change() {
    let of_the_server = ["notifications/tasks", "notifications/message"];
    let unknown = ["notifications/", "notifications/anything"];
    for method in STRICT.iter().chain(&of_the_server).chain(&unknown) {
        let change = Change::of(&http::Method::POST, Some(method));
        assert_eq!(change, Some(Change::Call), "{method:?}");
    }
}

#[test]
fn a_method_without_a_row_is_counted_by_rate_limits() {
    let limiter = Limiter {
        id: LimitId::new(0),
        limit: RateLimit {
            per: Per::Principal,
            rate: Rate::new(1, Duration::from_secs(1), 1),
            methods: Vec::new(),
            names: Vec::new().into(),
        },
    };
    for method in STRICT {
        assert!(
            limiter.share(&alice(), method, None).is_some(),
            "{method:?}"
        );
    }
}

#[test]
fn a_method_without_a_row_has_no_metric_label() {
    for method in STRICT {
        assert_eq!(
            McpMethod::of(method).label(),
            McpMethod::OTHER_LABEL,
            "{method:?}"
        );
    }
    let labels: BTreeSet<_> = McpMethod::ALL.iter().map(|method| method.label()).collect();
    assert_eq!(labels.len(), 22, "{labels:?}");
}

#[test]
fn a_method_without_a_row_has_no_target_and_no_members_that_are_read() {
    for method in STRICT {
        let row = McpMethod::of(method).row();
        assert_eq!(row.target, TargetMember::Nothing, "{method:?}");
        assert_eq!(row.mirror, Mirror::Never, "{method:?}");
        assert_eq!(row.further, Further::Nothing, "{method:?}");
        assert_eq!(row.list, None, "{method:?}");
    }
}

#[test]
fn only_notifications_initialize_discover_and_ping_are_always_open() {
    for method in McpMethod::ALL {
        let opens = [McpMethod::Initialize, McpMethod::Discover, McpMethod::Ping];
        let expected = method.is_notification() || opens.contains(method);
        assert_eq!(method.is_always_open(), expected, "{method:?}");
        let by_name = method.name().starts_with("notifications/");
        assert_eq!(method.is_notification(), by_name, "{method:?}");
    }
    assert!(McpMethod::of("notifications/anything").is_always_open());
}

fn alice() -> Principal {
    Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: None,
        scopes: ScopeSet::default(),
    }
}

/// The reason why a policy without required scopes refuses a call, if it does.
fn refused(default: DefaultDecision, rules: Vec<Rule>, method: &str) -> Option<Reason> {
    let policy = Policy {
        required: ScopeSet::default(),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default,
        rules: Rules::new(rules),
        hide: Hide::Nothing,
        asked: None,
    };
    let (principal, claims) = (Arc::new(alice()), KeptClaims::none());
    let caller = Caller {
        principal: &principal,
        claims: &claims,
        asker: &Asker::default(),
        request: RequestFacts {
            http_method: "POST",
            path: "/mcp",
            host: "mcp.example.com",
            client_address: None,
            now: UnixTime::new(0),
        },
    };
    let operation = Operation {
        method: Some(method),
        ..Operation::default()
    };
    let judged = policy.authorize(&caller, &operation);
    judged.decision.err().map(|refusal| refusal.reason)
}
