//! What is asked about calls, and that two calls have the same key only where the decision point learns the same.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::asked::Asked;
use super::asker::Asker;
use super::asking::{Asking, Permitted, WithoutAnswer};
use super::question::QuestionFault;
use crate::cel::RequestFacts;
use crate::cel::kept_claims::{ClaimNames, KeptClaims};
use crate::json;
use crate::mcp::listed::Listed;
use crate::mcp::operation::{Operation, Reference};
use crate::policy::hide::Hide;
use crate::policy::{Caller, DefaultDecision, Hierarchy, Policy, Rules};
use crate::principal::Principal;
use crate::refusal::reason::Reason;
use crate::scope::ScopeSet;
use crate::time::UnixTime;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn asked() -> Asked {
    Asked {
        server: "https://mcp.example.com/mcp".into(),
        claims: names(&["department", "level"]),
        arguments: names(&["priority", "tags"]),
        client_address: true,
    }
}

fn policy(asked: Asked, default: DefaultDecision) -> Policy {
    Policy {
        required: ScopeSet::parse("read").unwrap(),
        supported: ScopeSet::default(),
        implies: Hierarchy::default(),
        default,
        rules: Rules::default(),
        hide: Hide::Nothing,
        asked: Some(asked),
    }
}

/// Who calls.
struct Someone {
    subject: &'static str,
    issuer: &'static str,
    client: Option<&'static str>,
    scopes: &'static str,
    claims: &'static str,
    address: Option<IpAddr>,
}

impl Default for Someone {
    fn default() -> Self {
        Self {
            subject: "alice",
            issuer: "https://issuer.example",
            client: Some("app"),
            scopes: "read",
            claims: r#"{"department":"ops","level":3,"other":1}"#,
            address: Some([192, 0, 2, 7].into()),
        }
    }
}

impl Someone {
    fn with<T>(&self, policy: &Policy, ask: impl FnOnce(&Caller<'_>) -> T) -> T {
        let principal = Arc::new(Principal {
            issuer: self.issuer.into(),
            subject: self.subject.into(),
            client: self.client.map(Into::into),
            scopes: ScopeSet::parse(self.scopes).unwrap(),
        });
        let claims = json::object(self.claims.as_bytes()).unwrap();
        ask(&Caller {
            principal: &principal,
            claims: &KeptClaims::of(&claims, &policy.claims_read()),
            asker: &Asker::default(),
            request: RequestFacts {
                http_method: "POST",
                path: "/mcp",
                host: "mcp.example.com",
                client_address: self.address,
                now: UnixTime::new(0),
            },
        })
    }

    fn asks(&self, asked: &Asked, operation: &Operation<'_>) -> Result<Asking, Reason> {
        let policy = policy(asked.clone(), DefaultDecision::Allow);
        let judged = self.with(&policy, |caller| policy.authorize(caller, operation));
        let decision = judged.decision.map_err(|refusal| refusal.reason)?;
        match decision {
            Permitted::If(asking) => Ok(asking),
            Permitted::Now(_) => panic!("nothing is asked"),
        }
    }

    fn first_question(&self, asked: &Asked, operation: &Operation<'_>) -> Value {
        let asking = self.asks(asked, operation).unwrap();
        serde_json::from_slice(&asking.questions().one(0).unwrap()).unwrap()
    }
}

fn tool<'a>(name: &'a str, arguments: Option<&'a str>) -> Operation<'a> {
    Operation {
        method: Some("tools/call"),
        name: Some(name),
        arguments: arguments.map(str::as_bytes),
        ..Operation::default()
    }
}

#[test]
fn a_question_says_who_does_what_with_what_and_what_the_configuration_names() {
    let arguments = r#"{"priority":"high","tags":["a","b"],"secret":"never"}"#;
    assert_eq!(
        Someone::default().first_question(&asked(), &tool("create", Some(arguments))),
        json!({
            "subject": { "type": "user", "id": "alice", "properties": {
                "issuer": "https://issuer.example",
                "client_id": "app",
                "scopes": ["read"],
                "claims": { "department": "ops", "level": 3 },
            } },
            "action": { "name": "tools/call" },
            "resource": { "type": "tool", "id": "create", "properties": { "server": "https://mcp.example.com/mcp" } },
            "context": {
                "arguments": { "priority": "high", "tags": ["a", "b"] },
                "client_address": "192.0.2.7",
            },
        })
    );
}

#[test]
fn what_is_not_configured_or_not_there_is_not_said() {
    let nothing = Asked {
        claims: BTreeSet::new(),
        arguments: BTreeSet::new(),
        client_address: false,
        ..asked()
    };
    let quiet = Someone {
        client: None,
        claims: "{}",
        address: None,
        ..Someone::default()
    };
    let question = quiet.first_question(&nothing, &tool("a", Some(r#"{"priority":1}"#)));
    assert_eq!(question["context"], json!({}));
    assert_eq!(
        question["subject"]["properties"],
        json!({ "issuer": "https://issuer.example", "scopes": ["read"] })
    );
    let heard = Asked {
        client_address: false,
        ..asked()
    };
    let question = quiet.first_question(&heard, &tool("a", None));
    assert_eq!(question["context"], json!({}));
    assert_eq!(question["subject"]["properties"].get("claims"), None);
}

#[test]
fn each_kind_of_thing_has_its_type() {
    for (method, name, kind, id) in [
        ("tools/call", Some("t"), "tool", "t"),
        ("prompts/get", Some("p"), "prompt", "p"),
        ("resources/read", Some("a://b"), "resource", "a://b"),
        ("resources/subscribe", Some("a://b"), "resource", "a://b"),
        ("tasks/get", Some("7"), "task", "7"),
        (
            "tools/list",
            None,
            "mcp_server",
            "https://mcp.example.com/mcp",
        ),
        ("new/thing", Some("x"), "other", "x"),
    ] {
        let operation = Operation {
            method: Some(method),
            name,
            ..Operation::default()
        };
        let question = Someone::default().first_question(&asked(), &operation);
        assert_eq!(question["action"]["name"], method);
        assert_eq!(question["resource"]["type"], kind, "{method}");
        assert_eq!(question["resource"]["id"], id, "{method}");
    }
}

#[test]
fn everything_that_a_call_touches_is_asked_about_in_every_reading() {
    let references = [
        Reference::Resource("a://b/%63".into()),
        Reference::Prompt("hello".into()),
    ];
    let operation = Operation {
        method: Some("subscriptions/listen"),
        references: &references,
        ..Operation::default()
    };
    let asking = Someone::default().asks(&asked(), &operation).unwrap();
    let questions = asking.questions();
    let text = questions.several(&(0..questions.len()).collect::<Vec<_>>());
    let text: Value = serde_json::from_slice(&text).unwrap();
    let asked_about: Vec<_> = text["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["action"]["name"].clone(), one["resource"]["id"].clone()))
        .collect();
    let expected = [
        ("subscriptions/listen", "https://mcp.example.com/mcp"),
        ("resources/read", "a://b/%63"),
        ("resources/read", "a://b/c"),
        ("prompts/get", "hello"),
    ];
    let expected = expected.map(|(method, id)| (json!(method), json!(id)));
    assert_eq!(asked_about, expected);
    assert_eq!(text["subject"]["id"], "alice");
    assert_eq!(questions.keys().collect::<HashSet<_>>().len(), 4);
}

#[test]
fn what_is_always_open_and_what_the_policy_refuses_is_asked_about_by_nobody() {
    let policy = policy(asked(), DefaultDecision::Deny);
    let judge = |method| {
        let operation = Operation {
            method,
            ..Operation::default()
        };
        Someone::default().with(&policy, |caller| {
            policy.authorize(caller, &operation).decision
        })
    };
    for open in [None, Some("ping"), Some("initialize")] {
        assert!(matches!(judge(open), Ok(Permitted::Now(_))), "{open:?}");
    }
    let refused = judge(Some("tools/list")).unwrap_err();
    assert_eq!(refused.reason, Reason::PolicyDenied);
}

#[test]
fn what_cannot_be_judged_is_refused_and_not_asked() {
    let somebody = Someone::default();
    let large = format!(r#"{{"priority":"{}"}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"tags":{}1{}}}"#, "[".repeat(70), "]".repeat(70));
    for (arguments, reason) in [
        (r#"{"priority":1,"Priority":2}"#, Reason::AmbiguousJson),
        (r#"{"Priority":2}"#, Reason::AmbiguousJson),
        (r#"{"tags":{"a":1,"A":2}}"#, Reason::AmbiguousJson),
        ("[1]", Reason::InvalidRequest),
        (r#"{"priority":1e400}"#, Reason::QuestionUnreadable),
        (r#"{"priority":"\ud800"}"#, Reason::QuestionUnreadable),
        (&large, Reason::QuestionUnreadable),
        (&deep, Reason::QuestionUnreadable),
    ] {
        let outcome = somebody.asks(&asked(), &tool("a", Some(arguments)));
        assert_eq!(outcome.err(), Some(reason), "{arguments:.60}");
    }
    let mirrored = ["Priority".into()];
    let only_in_a_header = Operation {
        params_without_argument: &mirrored,
        ..tool("a", Some("{}"))
    };
    let outcome = somebody.asks(&asked(), &only_in_a_header);
    assert_eq!(outcome.err(), Some(Reason::HeaderMismatch));
    let dots = Operation {
        method: Some("resources/read"),
        name: Some("a://b/../c"),
        ..Operation::default()
    };
    let outcome = somebody.asks(&asked(), &dots);
    assert_eq!(outcome.err(), Some(Reason::AmbiguousUri));
    let nowhere = Someone {
        address: None,
        ..Someone::default()
    };
    let outcome = nowhere.asks(&asked(), &tool("a", None));
    assert_eq!(outcome.err(), Some(Reason::QuestionUnreadable));
    let inexact = Someone {
        claims: r#"{"level":1e400}"#,
        ..Someone::default()
    };
    let outcome = inexact.asks(&asked(), &tool("a", None));
    assert_eq!(outcome.err(), Some(Reason::QuestionUnreadable));
    for fault in [QuestionFault::Claim, QuestionFault::Address] {
        assert!(!fault.to_string().is_empty());
    }
}

#[test]
fn the_key_differs_with_everything_that_is_said_and_with_nothing_else() {
    let key = |someone: &Someone, asked: &Asked, operation: &Operation<'_>| {
        let asking = someone.asks(asked, operation).unwrap();
        asking.questions().keys().next().unwrap()
    };
    let own = |someone: Someone| key(&someone, &asked(), &tool("a", None));
    let base = own(Someone::default());
    let others = [
        own(Someone {
            subject: "bob",
            ..Someone::default()
        }),
        own(Someone {
            issuer: "https://other.example",
            ..Someone::default()
        }),
        own(Someone {
            client: Some("b"),
            ..Someone::default()
        }),
        own(Someone {
            client: None,
            ..Someone::default()
        }),
        own(Someone {
            scopes: "read write",
            ..Someone::default()
        }),
        own(Someone {
            claims: r#"{"department":"dev","level":3}"#,
            ..Someone::default()
        }),
        own(Someone {
            claims: r#"{"department":"ops","level":"3"}"#,
            ..Someone::default()
        }),
        own(Someone {
            address: Some([192, 0, 2, 8].into()),
            ..Someone::default()
        }),
        // Texts that could be mistaken for members.
        own(Someone {
            subject: r#"alice","properties":{"issuer":"https://issuer.example"#,
            ..Someone::default()
        }),
        key(&Someone::default(), &asked(), &tool("b", None)),
        key(
            &Someone::default(),
            &asked(),
            &tool("a", Some(r#"{"priority":1}"#)),
        ),
        key(
            &Someone::default(),
            &asked(),
            &tool("a", Some(r#"{"priority":"1"}"#)),
        ),
        key(
            &Someone::default(),
            &asked(),
            &tool("a", Some(r#"{"tags":1}"#)),
        ),
        key(
            &Someone::default(),
            &Asked {
                server: "https://b.example/mcp".into(),
                ..asked()
            },
            &tool("a", None),
        ),
    ];
    let all: HashSet<_> = others.iter().chain([&base]).collect();
    assert_eq!(all.len(), others.len() + 1);
    let same = [
        own(Someone {
            claims: r#"{"level":3,"department":"ops","other":2}"#,
            ..Someone::default()
        }),
        key(
            &Someone::default(),
            &asked(),
            &tool("a", Some(r#"{"unsent":1}"#)),
        ),
        key(&Someone::default(), &asked(), &tool("a", Some("{}"))),
    ];
    assert!(same.iter().all(|key| *key == base));
    let [one, other] = [
        r#"{"priority":1,"tags":[ {"a":1,"b":2} ]}"#,
        r#"{ "tags":[{"b":2,"a":1}],"priority":1}"#,
    ]
    .map(|arguments| key(&Someone::default(), &asked(), &tool("a", Some(arguments))));
    assert_eq!(one, other);
}

#[test]
fn questions_have_the_same_key_only_where_they_have_the_same_text() {
    // Texts that would move the borders between who asks, claims, context and what is called, if they were put together without care.
    const ODD: [&str; 6] = [
        "a",
        r#"a"]}},"context":{"#,
        r#"a"],"claims":{"department":"b"#,
        "]",
        "{",
        "\u{0}",
    ];
    const CLAIMS: [&str; 5] = [
        "{}",
        r#"{"department":"a"}"#,
        r#"{"department":"a\"}}},\"context\":{"}"#,
        r#"{"department":"]","level":"{"}"#,
        r#"{"department":["]"]}"#,
    ];
    let arguments = ODD.map(|text| json!({ "tags": text }).to_string());
    let mut callers = Vec::new();
    for (subject, client) in ODD.iter().flat_map(|one| ODD.map(|other| (*one, other))) {
        for scopes in ["read", "read ]", "read {"] {
            callers.extend(CLAIMS.map(|claims| Someone {
                subject,
                client: Some(client),
                scopes,
                claims,
                ..Someone::default()
            }));
        }
    }
    let (mut texts, mut keys, mut count) = (HashSet::new(), HashSet::new(), 0);
    for caller in &callers {
        for sent in [None].into_iter().chain(arguments.iter().map(Some)) {
            let operation = tool("a", sent.map(String::as_str));
            let asking = caller.asks(&asked(), &operation).unwrap();
            let text = asking.questions().one(0).unwrap();
            assert!(serde_json::from_slice::<Value>(&text).is_ok());
            texts.insert(text);
            keys.extend(asking.questions().keys());
            count += 1;
        }
    }
    assert_eq!((texts.len(), keys.len()), (count, count));
}

#[test]
fn what_is_kept_of_a_caller_changes_neither_text_nor_key() {
    let policy = policy(asked(), DefaultDecision::Allow);
    let asker = Asker::default();
    for subject in ["alice", "bob", "alice"] {
        let someone = Someone {
            subject,
            ..Someone::default()
        };
        let ask = |asker: Option<&Asker>| {
            someone.with(&policy, |caller| {
                let own = Caller {
                    asker: asker.unwrap_or(caller.asker),
                    ..*caller
                };
                let touched = Operation {
                    method: Some("resources/read"),
                    name: Some("https://host.example"),
                    ..Operation::default()
                };
                match policy.authorize(&own, &touched).decision.unwrap() {
                    Permitted::If(asking) => asking.questions().clone(),
                    Permitted::Now(_) => panic!("nothing is asked"),
                }
            })
        };
        let (kept, fresh) = (ask(Some(&asker)), ask(None));
        assert!(fresh.keys().eq(kept.keys()) && fresh.len() > 1);
        let all: Vec<usize> = (0..fresh.len()).collect();
        assert_eq!(kept.several(&all), fresh.several(&all));
        let whole: Value = serde_json::from_slice(&fresh.several(&all)).unwrap();
        assert_eq!(whole["subject"]["id"], subject);
        assert_eq!(whole["evaluations"].as_array().unwrap().len(), fresh.len());
        for at in all {
            assert_eq!(kept.one(at), fresh.one(at));
        }
    }
}

#[test]
fn a_permit_needs_a_yes_to_every_question_or_the_word_of_the_configuration() {
    let ask = || Someone::default().asks(&asked(), &tool("a", None)).unwrap();
    assert!(ask().answered([true]).is_ok());
    for answers in [&[false][..], &[], &[true, true], &[true, false]] {
        let refused = ask().answered(answers.to_vec()).unwrap_err();
        assert_eq!(refused.reason, Reason::DecisionPointDenied);
    }
    let wait = Duration::from_secs(1);
    let refused = ask().unanswered(WithoutAnswer::Refuse, wait).unwrap_err();
    assert_eq!(refused.reason, Reason::DecisionPointUnavailable);
    assert_eq!(refused.retry_after, Some(wait));
    let allowed = ask().unanswered(WithoutAnswer::AllowWhatPolicyAllows, wait);
    assert_eq!(&*allowed.unwrap().principal().subject, "alice");
}

#[test]
fn an_entry_of_a_list_is_asked_about_as_a_call_of_it_without_arguments() {
    let policy = policy(asked(), DefaultDecision::Allow);
    let listed = [
        (Listed::Tools, "create"),
        (Listed::Resources, "a://b/../c"),
        (Listed::Prompts, " hello "),
    ];
    let entries = Someone::default()
        .with(&policy, |caller| {
            policy.ask_about_entries(caller, listed.into_iter())
        })
        .unwrap()
        .unwrap();
    // The second can be read differently: it has no question, so nobody can say yes.
    assert_eq!(entries.entries, [0, 2, 2]);
    let call = Someone::default()
        .asks(&asked(), &tool("create", None))
        .unwrap();
    assert_eq!(
        entries.questions.keys().next(),
        call.questions().keys().next()
    );
}

#[test]
fn claims_for_the_decision_point_are_kept_with_those_of_conditions() {
    let policy = policy(asked(), DefaultDecision::Allow);
    let expected = ClaimNames::These(names(&["department", "level"]));
    assert_eq!(policy.claims_read(), expected);
}
