//! Tables of conditions: which hold, which fail, which are refused and at which position.

use std::sync::Arc;

use super::super::principal::Principal;
use super::super::scope::ScopeSet;
use super::kept_claims::ClaimNames;
use super::*;
use crate::cel::kept_claims::KeptClaims;
use crate::json;
use crate::time::UnixTime;

/// 2026-11-21T10:30:00Z, a Saturday.
const NOW: UnixTime = UnixTime::new(1_795_257_000);

const CLAIMS: &str = r#"{"department":"ops","level":3,"ratio":0.5,"huge":18446744073709551615,"whole":2.0,
    "groups":["admins","staff"],"address":{"country":"DE","zip":["10115"]},"verified":true,"nothing":null,
    "https://example.com/role":"lead","numbers":[1,2.5],"umlaut":"Zürich"}"#;

const ARGUMENTS: &str =
    r#"{"priority":"high","count":7,"tags":["a","b"],"owner":{"id":"u1"},"dry_run":false}"#;

fn principal(client: Option<&str>) -> Principal {
    Principal {
        issuer: "https://issuer.example".into(),
        subject: "alice".into(),
        client: client.map(Into::into),
        scopes: ScopeSet::default(),
    }
}

fn kept(condition: &Condition, claims: &str) -> Arc<KeptClaims> {
    let object = json::object(claims.as_bytes()).unwrap();
    KeptClaims::of(&object, condition.claims_read())
}

fn judge_with(source: &str, claims: &str, arguments: Option<&str>) -> Result<bool, ConditionFault> {
    let condition = Condition::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    judge_compiled(&condition, claims, arguments)
}

fn judge_compiled(
    condition: &Condition,
    claims: &str,
    arguments: Option<&str>,
) -> Result<bool, ConditionFault> {
    let facts = Facts {
        principal: &principal(Some("agent")),
        claims: &kept(condition, claims),
        method: "tools/call",
        name: Some("report_daily"),
        arguments: arguments.map(str::as_bytes),
        version: Some("2025-11-25"),
        request: RequestFacts {
            http_method: "POST",
            path: "/mcp",
            host: "mcp.example.com",
            client_address: Some([192, 0, 2, 7].into()),
            now: NOW,
        },
    };
    condition.judge(&facts)
}

fn judge(source: &str) -> Result<bool, ConditionFault> {
    judge_with(source, CLAIMS, Some(ARGUMENTS))
}

#[test]
fn a_condition_reads_the_caller_the_call_and_the_request() {
    for source in [
        r#"claims.department == "ops""#,
        r#"claims["department"] == "ops""#,
        r#"claims["https://example.com/role"] == "lead""#,
        r#""admins" in claims.groups"#,
        r#"claims.address.country == "DE" && "10115" in claims.address.zip"#,
        r#"claims.umlaut == "Zürich" && claims.umlaut.size() == 6"#,
        r#"client.id == "agent" && client.address == "192.0.2.7""#,
        r#"mcp.method == "tools/call" && mcp.name.startsWith("report_") && mcp.version == "2025-11-25""#,
        r#"mcp.arguments.priority in ["high", "urgent"]"#,
        r#"mcp.arguments["owner"].id == "u1" && "b" in mcp.arguments.tags && !mcp.arguments.dry_run"#,
        r#"request.method == "POST" && request.path == "/mcp" && request.host.endsWith("example.com")"#,
        r#"request.time.getHours() == 10 && request.time.getDayOfWeek() == 6"#,
        r#"request.time.getHours("Europe/Berlin") == 11"#,
        r#"request.time < timestamp("2027-01-01T00:00:00Z")"#,
        r#"request.time - timestamp("2026-11-21T00:00:00Z") < duration("11h")"#,
    ] {
        assert_eq!(judge(source), Ok(true), "{source}");
    }
}

#[test]
fn numbers_of_different_types_compare_by_value() {
    for source in [
        "claims.level == 3",
        "claims.level >= 2.5 && claims.level < 4u",
        "claims.level + 1 == 4",
        "claims.ratio < 1",
        "claims.whole == 2 && 2 == claims.whole",
        "claims.huge > 9223372036854775807",
        "claims.huge == 18446744073709551615u",
        "1 in claims.numbers && 1.0 in claims.numbers && 2.5 in claims.numbers",
        "mcp.arguments.count % 2 == 1",
        "double(claims.level) / 2.0 == 1.5",
        r#"string(claims.level) == "3" && int("3") == claims.level"#,
    ] {
        assert_eq!(judge(source), Ok(true), "{source}");
    }
}

#[test]
fn has_checks_what_may_be_missing() {
    for (source, expected) in [
        ("has(claims.department)", true),
        ("has(claims.team)", false),
        (r#"has(claims.team) && claims.team == "a""#, false),
        (r#""team" in claims || claims.verified"#, true),
        (
            "has(claims.address.country) && !has(claims.address.street)",
            true,
        ),
        ("has(claims.nothing) && claims.nothing == null", true),
        (
            "has(mcp.arguments.priority) && !has(mcp.arguments.force)",
            true,
        ),
        (
            r#""owner" in mcp.arguments && !("Owner " in mcp.arguments)"#,
            true,
        ),
        ("size(mcp.arguments) == 5 && size(claims.groups) == 2", true),
    ] {
        assert_eq!(judge(source), Ok(expected), "{source}");
    }
    for arguments in [None, Some("{}")] {
        let judged = judge_with("!has(mcp.arguments.force)", "{}", arguments);
        assert_eq!(judged, Ok(true), "{arguments:?}");
    }
}

#[test]
fn a_condition_that_cannot_be_evaluated_fails_without_naming_a_value() {
    const MISSING: &str = "a claim or argument that it reads is missing";
    const TYPE: &str = "a claim or argument that it reads has the wrong type";
    for (source, expected) in [
        (r#"claims.team == "a""#, MISSING),
        (r#"mcp.arguments.force == true"#, MISSING),
        (r#"claims.address.street.name == "a""#, MISSING),
        ("claims.department > 3", TYPE),
        ("claims.department.startsWith(claims.level)", TYPE),
        ("claims.level && true", TYPE),
        ("!claims.department", TYPE),
        ("claims.level + claims.ratio > 1", TYPE),
        (r#""a" in claims.department"#, TYPE),
        ("claims.department.name", TYPE),
        (
            "claims.level / (claims.level - 3) == 1",
            "it divides by zero",
        ),
        (
            "claims.huge + claims.huge > 1u",
            "a number or time is out of range",
        ),
        (
            "claims.groups[7] == \"a\"",
            "a list that it reads is too short",
        ),
        (
            "int(claims.department) == 1",
            "a function does not accept its argument",
        ),
        (
            "timestamp(claims.department) < request.time",
            "a function does not accept its argument",
        ),
        (
            "request.time.getHours(claims.department) == 1",
            "a function does not accept its argument",
        ),
    ] {
        assert_eq!(
            judge(source),
            Err(ConditionFault::Error(expected)),
            "{source}"
        );
    }
    for source in [
        "claims.level",
        "claims.groups",
        "mcp.arguments.priority",
        "claims.verified ? claims.level : false",
    ] {
        assert_eq!(judge(source), Err(ConditionFault::NotBoolean), "{source}");
    }
}

#[test]
fn a_value_of_another_type_is_neither_equal_nor_unequal() {
    const TYPE: ConditionFault =
        ConditionFault::Error("a claim or argument that it reads has the wrong type");
    for (source, judged, other) in [
        (
            "mcp.arguments.a != 7",
            "8",
            ["\"7\"", "[7]", "null", "true", "{}"],
        ),
        (
            "mcp.arguments.a == 7",
            "7",
            ["\"7\"", "[7]", "null", "true", "{}"],
        ),
        (
            "7 != mcp.arguments.a",
            "8.5",
            ["\"7\"", "[7]", "null", "true", "{}"],
        ),
        (
            "mcp.arguments.a != \"x\"",
            "\"y\"",
            ["1", "[\"x\"]", "null", "{\"x\":true}", "0.5"],
        ),
        (
            "!(mcp.arguments.a in [\"x\", \"y\"])",
            "\"z\"",
            ["1", "[\"x\"]", "null", "{\"x\":true}", "false"],
        ),
        (
            "!(\"x\" in mcp.arguments.a)",
            "[\"y\"]",
            ["[[\"x\"]]", "[1]", "[\"y\",null]", "\"x\"", "7"],
        ),
        (
            "!(mcp.arguments.a in {\"x\": 1})",
            "\"z\"",
            ["1", "[\"x\"]", "null", "true", "{}"],
        ),
        (
            "mcp.arguments.a != [\"x\"]",
            "[\"y\"]",
            ["[1]", "[null]", "[[\"x\"]]", "{\"0\":\"x\"}", "\"x\""],
        ),
        (
            "mcp.arguments.a != {\"x\": 1}",
            "{\"x\":2}",
            ["{\"x\":\"1\"}", "{\"x\":null}", "[1]", "\"x\"", "1"],
        ),
    ] {
        let judge = |value: &str| judge_with(source, "{}", Some(&format!(r#"{{"a":{value}}}"#)));
        assert_eq!(judge(judged), Ok(true), "{source} {judged}");
        for value in other {
            assert_eq!(judge(value), Err(TYPE), "{source} {value}");
        }
    }
}

#[test]
fn what_certainly_differs_or_is_found_is_judged_beside_other_types() {
    for (source, value, expected) in [
        ("mcp.arguments.a == [1, 2]", "[1]", false),
        ("mcp.arguments.a == [1, 2]", "[\"1\",3]", false),
        ("mcp.arguments.a == {\"x\": 1}", "{\"y\":null}", false),
        (
            "mcp.arguments.a == {\"x\": 1, \"y\": 2}",
            "{\"x\":\"1\",\"y\":3}",
            false,
        ),
        ("\"x\" in mcp.arguments.a", "[1,\"x\"]", true),
        ("mcp.arguments.a in [1, \"x\"]", "\"x\"", true),
        ("mcp.arguments.a in {1: 1, 2u: 2}", "3", false),
        ("mcp.arguments.a in {1: 1, 2u: 2}", "2", true),
        ("\"x\" in mcp.arguments.a", "{\"y\":1}", false),
        ("mcp.arguments.a == 1.0", "1", true),
        ("mcp.arguments.a != 1u", "1.5", true),
        ("mcp.arguments.a == null", "null", true),
        ("mcp.arguments.a == null", "7", false),
        ("null != mcp.arguments.a", "\"x\"", true),
    ] {
        let arguments = format!(r#"{{"a":{value}}}"#);
        let judged = judge_with(source, "{}", Some(&arguments));
        assert_eq!(judged, Ok(expected), "{source} {value}");
    }
}

#[test]
fn a_failing_part_does_not_matter_where_another_part_decides() {
    assert_eq!(
        judge("client.id == \"other\" && claims.team == 1"),
        Ok(false)
    );
    assert_eq!(
        judge("claims.team == 1 && client.id == \"other\""),
        Ok(false)
    );
    assert_eq!(
        judge("claims.team == 1 || client.id == \"agent\""),
        Ok(true)
    );
}

#[test]
fn an_invalid_condition_is_refused_with_its_position() {
    for (source, line, column, problem) in [
        ("", 1, 1, "is not valid CEL"),
        ("claims.department ==", 1, 21, "is not valid CEL"),
        ("claims.department = \"ops\"", 1, 19, "is not valid CEL"),
        ("true\n  && \"Zü\" + ) == 1", 2, 13, "is not valid CEL"),
        ("claims.?a == 1", 1, 7, "is not valid CEL"),
        ("has(claims)", 1, 5, "has() requires a member"),
        (
            "claim.department == \"ops\"",
            1,
            1,
            "unknown variable `claim`",
        ),
        (
            "department == \"ops\"",
            1,
            1,
            "unknown variable `department`",
        ),
        (
            ".claims.department == \"ops\"",
            1,
            2,
            "unknown variable `.claims`",
        ),
        ("true && int == int", 1, 9, "unknown variable `int`"),
        ("mcp.tool == \"a\"", 1, 4, "`mcp` has no member `tool`"),
        (
            "request.headers == \"a\"",
            1,
            8,
            "`request` has no member `headers`",
        ),
        ("has(mcp.name)", 1, 4, "`mcp.name` is always present"),
        ("\"name\" in mcp", 1, 11, "`mcp` is not a value"),
        ("mcp[\"name\"] == \"a\"", 1, 1, "`mcp` is not a value"),
        (
            "mcp.name.startswith(\"a\")",
            1,
            20,
            "unknown function `startswith`",
        ),
        (
            "startsWith(mcp.name, \"a\")",
            1,
            11,
            "`startsWith` is called in the wrong form",
        ),
        (
            "mcp.name.matches(\"a+\")",
            1,
            17,
            "`matches` is not supported",
        ),
        (
            "claims.groups.exists(g, g == \"a\")",
            1,
            21,
            "`exists` is not supported",
        ),
        (
            "claims.groups.all(g, g == \"a\")",
            1,
            18,
            "`all` is not supported",
        ),
        ("type(claims.a) == 1", 1, 5, "unknown function `type`"),
        ("dyn(1) == 1", 1, 4, "unknown function `dyn`"),
        ("bytes(\"a\") == 1", 1, 6, "unknown function `bytes`"),
        ("optional.of(1) == 1", 1, 12, "unknown function `of`"),
        ("Point{x: 1} == 1", 1, 6, "is an expression"),
        ("mcp.name == b\"a\"", 1, 13, "must be a string"),
        (
            "request.path > 3",
            1,
            14,
            "`>` does not accept string and int",
        ),
        ("mcp.name == 3", 1, 10, "string and int are never equal"),
        (
            "\"Zü\" + \"ü\" == 3",
            1,
            12,
            "string and int are never equal",
        ),
        (
            "mcp.arguments == null",
            1,
            15,
            "map and null are never equal",
        ),
        ("mcp.name.id == 1", 1, 9, "a string has no members"),
        (
            "\"a\" in mcp.name",
            1,
            5,
            "`in` does not accept string and string",
        ),
        (
            "request.time > \"2026\"",
            1,
            14,
            "`>` does not accept timestamp and string",
        ),
        (
            "request.time + 3600 > request.time",
            1,
            14,
            "`+` does not accept timestamp and int",
        ),
        ("size(3) == 1", 1, 5, "`size` does not accept int"),
        (
            "mcp.name && true",
            1,
            10,
            "`&&` does not accept string and bool",
        ),
        ("!mcp.name", 1, 1, "`!` does not accept string"),
        (
            "mcp.name ? true : false",
            1,
            4,
            "the part before ? is string",
        ),
        ("timestamp(\"noon\") < request.time", 1, 10, "always fails"),
        ("claims.level == 1 / 0", 1, 19, "always fails"),
        ("has({\"a\": 1, \"a\": 2}.a)", 1, 5, "always fails"),
        ("1 + 1", 1, 3, "evaluates to int"),
        ("mcp.name", 1, 4, "evaluates to string"),
        ("claims", 1, 1, "evaluates to map"),
        ("request.time.getHours()", 1, 22, "evaluates to int"),
        ("claims.a ? \"a\" : \"b\"", 1, 10, "evaluates to string"),
    ] {
        let error = Condition::compile(source).expect_err(source);
        assert!(error.problem.contains(problem), "{source}: {error}");
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{source}: {error}"
        );
        assert!(error.fix.ends_with(['.', '}']), "{source}: {error}");
    }
}

/// As deep as a source of this length can be, in each way that CEL nests.
fn deep_sources(most_times: usize) -> Vec<String> {
    let most = Condition::MAX_BYTES;
    let around = |open: &str, inner: &str, close: &str| {
        let times = (most - inner.len()) / (open.len() + close.len()).max(1);
        let times = times.min(most_times);
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let nested = [
        ("(", "true", ")"),
        ("[", "1", "]"),
        ("{1:", "1", "}"),
        ("size(", "claims.a", ")"),
        ("string(", "1", ")"),
        ("!", "true", ""),
        ("!(", "true", ")"),
        ("-", "1", ""),
        ("-(", "1", ")"),
        ("", "true", "&&true"),
        ("", "true", "||true"),
        ("true&&(", "true", ")"),
        ("", "1", "+1"),
        ("1+(", "1", ")"),
        ("", "1", "==1"),
        ("", "1", "<1"),
        ("", "claims.a", "==claims.a"),
        ("", "claims.a", "+claims.a"),
        ("", "claims", ".a"),
        ("", "mcp.arguments", ".a"),
        ("", "claims", "[0]"),
        ("claims[", "0", "]"),
        ("", "claims.a", ".size()"),
        ("claims.a.contains(", "claims.a", ")"),
        ("true?true:", "true", ""),
        ("true?", "true", ":true"),
        ("claims.a?claims.b:", "claims.a", ""),
        ("", "1", " in[1]"),
        ("has(", "claims.a", ")"),
        ("has(", "claims.a", ").a"),
        ("a{a:", "1", "}"),
        ("\"", "", "\""),
        ("r'", "", "'"),
    ];
    nested
        .iter()
        .flat_map(|(open, inner, close)| {
            let whole = around(open, inner, close);
            let unclosed = open.repeat(most / open.len().max(1));
            let unopened = close.repeat(most / close.len().max(1));
            [format!("{whole} == 1"), whole, unclosed, unopened]
        })
        .filter(|source| source.len() <= most)
        .collect()
}

#[test]
fn no_source_overflows_the_stack_of_a_thread() {
    let compile = || {
        let sources = deep_sources(usize::MAX).into_iter().chain(deep_sources(27));
        sources
            .filter_map(|source| Condition::compile(&source).ok())
            .collect::<Vec<_>>()
    };
    let conditions = within(STACK, compile);
    assert!(conditions.len() > 10, "some are not too deep");
    // A worker thread has more on its stack than this test, and its stack is not larger.
    within(STACK / 4, move || {
        let nested = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
        for condition in conditions {
            let _ = judge_compiled(&condition, &nested, Some(&nested));
        }
    });
}

fn within<T: Send + 'static>(stack: usize, run: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(stack);
    thread.spawn(run).unwrap().join().unwrap()
}

#[test]
fn a_condition_nested_too_deeply_is_refused_with_its_position() {
    for (source, column) in [
        (format!("{}true{}", "(".repeat(200), ")".repeat(200)), 97),
        (format!("claims{} == 1", ".a".repeat(40)), 23),
        (format!("1{} == 41", "+1".repeat(40)), 18),
    ] {
        let error = Condition::compile(&source).expect_err(&source);
        assert!(error.problem.contains("nested too deeply"), "{error}");
        assert_eq!((error.line, error.column), (1, column), "{source}: {error}");
    }
    for source in [
        format!("claims.level == 3{}", " || claims.level == 3".repeat(45)),
        format!("{}true{}", "(".repeat(90), ")".repeat(90)),
        format!("claims.level in [{}3]", "1, ".repeat(300)),
    ] {
        assert_eq!(judge(&source), Ok(true), "{source}");
    }
}

/// What tokio and `std` give a thread, in bytes.
const STACK: usize = 2 << 20;

#[test]
fn it_is_known_what_a_condition_reads() {
    let all = || ClaimNames::All;
    let these =
        |names: &[&str]| ClaimNames::These(names.iter().map(|name| (*name).to_owned()).collect());
    let cases: [(&str, ClaimNames, bool, &[&str]); 12] = [
        ("client.id == \"a\"", these(&[]), false, &[]),
        (
            "claims.a == 1 || claims[\"b c\"] == 2",
            these(&["a", "b c"]),
            false,
            &[],
        ),
        (
            "has(claims.a.b) && claims.c.d.e == 1",
            these(&["a", "c"]),
            false,
            &[],
        ),
        (
            "\"a\" in claims && \"x\" in claims.b",
            these(&["a", "b"]),
            false,
            &[],
        ),
        ("size(claims) == 1 && claims.a == 1", all(), false, &[]),
        ("claims[client.id] == 1", all(), false, &[]),
        ("client.id in claims", all(), false, &[]),
        (
            "mcp.arguments.a == 1 && has(mcp.arguments.b)",
            these(&[]),
            true,
            &["a", "b"],
        ),
        (
            "mcp.arguments.a.b[\"c\"].d == 1",
            these(&[]),
            true,
            &["a", "b", "c", "d"],
        ),
        ("\"a\" in mcp.arguments", these(&[]), true, &["a"]),
        ("mcp.arguments == {\"a\": 1}", these(&[]), true, &[]),
        ("mcp.arguments[claims.a] == 1", these(&["a"]), true, &[]),
    ];
    for (source, claims, arguments, names) in cases {
        let condition = Condition::compile(source).unwrap();
        assert_eq!(condition.claims_read(), &claims, "{source}");
        assert_eq!(condition.reads_arguments(), arguments, "{source}");
        assert_eq!(
            condition.argument_names().collect::<Vec<_>>(),
            names,
            "{source}"
        );
        assert_eq!(condition, condition.clone());
        assert_eq!(condition.source(), source);
    }
}

#[test]
fn a_condition_fails_where_it_reads_a_claim_that_was_not_stored() {
    const NOT_KEPT: Result<bool, ConditionFault> = Err(ConditionFault::Error(
        "a claim that it reads is too large, or not a CEL value",
    ));
    let large = format!(
        r#"{{"small":1,"large":"{}","b":2}}"#,
        "x".repeat(KeptClaims::MAX_BYTES)
    );
    let deep = format!(
        r#"{{"large":{}1{},"small":1}}"#,
        "[".repeat(65),
        "]".repeat(65)
    );
    for claims in [
        large.as_str(),
        &deep,
        r#"{"large":18446744073709551616,"small":1}"#,
        r#"{"large":[1e999],"small":1}"#,
        r#"{"large":"\ud800","small":1}"#,
    ] {
        for source in [
            "claims.large != \"contractor\"",
            "!has(claims.large)",
            "size(claims) < 9",
        ] {
            assert_eq!(judge_with(source, claims, None), NOT_KEPT, "{source}");
        }
        assert_eq!(judge_with("claims.small == 1", claims, None), Ok(true));
    }
    let fitting = format!(r#"{{"a":"{}"}}"#, "x".repeat(KeptClaims::MAX_BYTES - 2));
    assert_eq!(
        judge_with("size(claims.a) > 8000", &fitting, None),
        Ok(true)
    );
    let one_more = format!(
        r#"{{"a":"{}","b":1}}"#,
        "x".repeat(KeptClaims::MAX_BYTES - 2)
    );
    assert_eq!(
        judge_with("has(claims.a) && has(claims.b)", &one_more, None),
        NOT_KEPT
    );
    assert!(
        !format!(
            "{:?}",
            kept(
                &Condition::compile("claims.a == 1").unwrap(),
                r#"{"a":"secret"}"#
            )
        )
        .contains("secret")
    );
}

#[test]
fn a_condition_fails_where_it_reads_ambiguous_arguments() {
    let cases = [
        (
            r#"{"priority":"low","Priority":"high"}"#,
            "the arguments have look-alike member names",
        ),
        (
            r#"{"PRIORITY":"high"}"#,
            "the arguments have look-alike member names",
        ),
        (
            r#"{"priority":{"a":1,"A":2}}"#,
            "the arguments have look-alike member names",
        ),
        (r#"["priority"]"#, "the arguments are not an object"),
        ("null", "the arguments are not an object"),
        (
            r#"{"priority":1e999}"#,
            "an argument is a number that is too large, or that readers round differently",
        ),
        (
            r#"{"priority":"\udc00"}"#,
            "an argument is not valid Unicode",
        ),
    ];
    for (arguments, expected) in cases {
        let judged = judge_with("has(mcp.arguments.priority)", "{}", Some(arguments));
        assert_eq!(judged, Err(ConditionFault::Error(expected)), "{arguments}");
        assert_eq!(
            judge_with("client.id == \"agent\"", "{}", Some(arguments)),
            Ok(true)
        );
    }
    let many = format!(r#"{{"tags":[{}0],"other":1}}"#, "0,".repeat(2_000));
    let judged = judge_with("0 in mcp.arguments.tags", "{}", Some(&many));
    assert_eq!(
        judged,
        Err(ConditionFault::Error("the arguments have too many values"))
    );
    assert_eq!(
        judge_with("mcp.arguments.other == 1", "{}", Some(&many)),
        Ok(true)
    );
}

#[test]
fn a_condition_fails_where_it_reads_a_time_out_of_range() {
    let condition =
        Condition::compile("request.time + duration(\"2562047h\") > request.time").unwrap();
    for (now, expected) in [
        (
            i64::MIN,
            Err(ConditionFault::Error("the time is out of range")),
        ),
        (
            i64::MAX,
            Err(ConditionFault::Error("the time is out of range")),
        ),
        (
            8_210_266_876_799,
            Err(ConditionFault::Error("the time is out of range")),
        ),
        (
            253_402_300_799,
            Err(ConditionFault::Error("a number or time is out of range")),
        ),
        (0, Ok(true)),
    ] {
        let principal = principal(None);
        let facts = Facts {
            principal: &principal,
            claims: &KeptClaims::none(),
            method: "ping",
            name: None,
            arguments: None,
            version: None,
            request: RequestFacts {
                http_method: "POST",
                path: "/",
                host: "",
                client_address: None,
                now: UnixTime::new(now),
            },
        };
        assert_eq!(condition.judge(&facts), expected, "{now}");
        let empty = Condition::compile("mcp.name + mcp.version + client.id == \"\"").unwrap();
        assert_eq!(empty.judge(&facts), Ok(true));
        for source in [
            "client.address == \"\"",
            "client.address != \"192.0.2.7\"",
            "!client.address.startsWith(\"10.\")",
            "true || client.address == \"192.0.2.7\"",
        ] {
            let unknown = ConditionFault::Error("the client's address is unknown");
            let condition = Condition::compile(source).unwrap();
            assert_eq!(condition.judge(&facts), Err(unknown), "{source}");
        }
    }
}

#[test]
fn a_source_has_a_maximum_length() {
    let source = |bytes| format!("claims.a == \"{}\"", "x".repeat(bytes - 14));
    assert!(Condition::compile(&source(Condition::MAX_BYTES)).is_ok());
    let error = Condition::compile(&source(Condition::MAX_BYTES + 1)).unwrap_err();
    assert_eq!(error.problem, "is 1025 bytes long");
}

#[test]
fn a_condition_over_claims_alone_is_judged_without_a_call() {
    let judged = |source: &str| {
        let condition = Condition::compile(source).unwrap();
        let claims = kept(&condition, CLAIMS);
        (
            condition.reads_only_claims(),
            condition.judge_claims(&claims),
        )
    };
    for (source, expected) in [
        (r#"claims.department == "ops" && claims.level > 2"#, true),
        (r#"has(claims.address) && "staff" in claims.groups"#, true),
        (r#"claims.department.startsWith("dev")"#, false),
        ("!has(claims.absent)", true),
        ("true", true),
    ] {
        assert_eq!(judged(source), (true, Ok(expected)), "{source}");
    }
    assert!(judged("claims.absent == 1").1.is_err());
    for source in [
        r#"mcp.name == "x""#,
        "mcp.method != claims.department",
        "has(mcp.arguments.x)",
        r#"client.id == """#,
        r#"request.path != "/" || claims.level == 3"#,
        r#"request.time < timestamp("2027-01-01T00:00:00Z")"#,
    ] {
        assert!(!judged(source).0, "{source}");
    }
}
