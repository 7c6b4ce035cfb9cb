//! Numbers 129 and 130 and the incidents with resources and scopes: for what a token is.

use e2e::gateway::config::{Config, resource};
use e2e::sign_in::browser::query;
use e2e::sign_in::client::{Client, REDIRECT, Tokens, redemption};
use e2e::sign_in::{PASSWORD, hash, with_users};
use e2e::upstream::Upstream;
use e2e::world::Table;
use serde_json::json;

use super::site::{ALL_SCOPES, Change, Site, answer_at, base, changed, claims, page, refused};

/// A second resource beside `/mcp`.
fn with_another(config: Config) -> Config {
    let other = resource("/other", &config.upstream(), &["built-in"]);
    config.set("/resources/1", other)
}

#[tokio::test]
async fn attack_129_a_token_is_for_the_one_resource_that_was_allowed() {
    let mut site = Site::with(with_another).await;
    let (issuer, mut table) = (site.gateway.uri(""), Table::default());
    let (mcp, other) = (site.gateway.uri("/mcp"), site.gateway.uri("/other"));
    let client = Client::register(&site.gateway).await;
    let (foreign, deeper, host) = (
        "https://evil.example/mcp",
        format!("{mcp}/deeper"),
        mcp.replace("127.0.0.1", "127.0.0.1.evil.example"),
    );
    let (fragment, query_of, dots, upper, user) = (
        format!("{mcp}#x"),
        format!("{mcp}?x=1"),
        format!("{issuer}/x/../mcp"),
        mcp.replace("/mcp", "/MCP"),
        mcp.replace("http://", "http://user@"),
    );
    let unknown = [
        foreign,
        &deeper,
        &host,
        &issuer,
        &fragment,
        &query_of,
        &dots,
        &upper,
        &user,
        "mcp",
        "/mcp",
        "urn:mcp",
        &format!("{mcp}//"),
        &format!(" {mcp}"),
        &mcp.replace("http", "https"),
    ];
    for sent in unknown {
        let reply = site
            .person
            .open(&site.request(&client.id, &[("resource", Some(sent))]))
            .await;
        let outcome = answer_at(reply.header("location"), REDIRECT, &issuer);
        if let Some(answer) = table.row(sent, outcome) {
            table.check(sent, answer["error"] == "invalid_target", || {
                format!("{answer:?}")
            });
        }
    }
    let several: [&[Change<'_>]; 2] = [
        &[("resource", Some(&mcp)), ("resource", Some(&other))],
        &[("resource", Some(&mcp)), ("resource", Some(foreign))],
    ];
    for changes in several {
        let reply = site.person.open(&site.request(&client.id, changes)).await;
        let answer = query(reply.header("location"));
        table.check("several", answer["error"] == "invalid_target", || {
            format!("{answer:?}")
        });
    }
    for (asked, expected, path) in [
        (Some(other.as_str()), &other, "/other"),
        (None, &mcp, "/mcp"),
    ] {
        let code = site.code(&client.id, &[("resource", asked)]).await;
        // Another one at the token endpoint is refused, and the code is still good.
        let wrong = if *expected == mcp { &other } else { &mcp };
        for sent in [wrong.as_str(), foreign] {
            let fields = changed(&redemption(&code), &[("resource", Some(sent))]);
            let answer = client.ask(&site.gateway, &fields).await;
            table.row(path, refused(&answer, 400, "invalid_target"));
        }
        let tokens = client.redeem(&site.gateway, &code).await;
        table.check(path, claims(&tokens.access)["aud"] == **expected, || {
            claims(&tokens.access)["aud"].to_string()
        });
        for (at, status) in [("/mcp", path == "/mcp"), ("/other", path == "/other")] {
            let hits = site.upstream.hits();
            let call = site.gateway.post_to(at, e2e::client::tool(1, "list_tasks"));
            let reply = call.token(&tokens.access).send().await;
            let expected = if status { (200, hits + 1) } else { (401, hits) };
            let found = (reply.status, site.upstream.hits());
            table.check(path, found == expected, || format!("{at}: {found:?}"));
        }
        // At a refresh as well.
        for sent in [wrong.as_str(), foreign] {
            let fields = [
                ("grant_type", "refresh_token"),
                ("refresh_token", tokens.refresh.as_str()),
                ("resource", sent),
            ];
            let answer = client.ask(&site.gateway, &fields).await;
            table.row(path, refused(&answer, 400, "invalid_target"));
        }
        let (status, answer) = client.refresh(&site.gateway, &tokens.refresh).await;
        table.check(path, status == 200, || answer["error"].to_string());
    }
}

#[tokio::test]
async fn attack_222_a_resource_has_several_spellings_and_a_token_the_one_of_its_metadata() {
    let mut site = Site::with(with_another).await;
    let mut table = Table::default();
    let metadata = site
        .gateway
        .get("/.well-known/oauth-protected-resource/mcp");
    let own = metadata.send().await.json()["resource"]
        .as_str()
        .unwrap()
        .to_owned();
    let (slash, upper) = (format!("{own}/"), own.replace("http://", "HTTP://"));
    let client = Client::register(&site.gateway).await;
    let spellings: [&[Change<'_>]; 6] = [
        &[("resource", Some(&own))],
        &[("resource", Some(&slash))],
        &[("resource", Some(&upper))],
        &[("resource", Some(&own)), ("resource", Some(&own))],
        &[("resource", Some(&own)), ("resource", Some(&slash))],
        &[("resource", None)],
    ];
    for (place, changes) in spellings.into_iter().enumerate() {
        let code = site.code(&client.id, changes).await;
        // The other steps may have another spelling.
        let at_token = spellings[(place + 1) % spellings.len()];
        let fields = changed(&redemption(&code), at_token);
        let (status, answer) = client.ask(&site.gateway, &fields).await;
        let name = format!("{changes:?}, then {at_token:?}");
        table.check(&name, status == 200, || answer["error"].to_string());
        let tokens = Tokens::of(answer);
        let refresh = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        let at_refresh = spellings[(place + 2) % spellings.len()];
        let (status, answer) = client
            .ask(&site.gateway, &changed(&refresh, at_refresh))
            .await;
        table.check(&name, status == 200, || answer["error"].to_string());
        for token in [tokens.access, Tokens::of(answer).access] {
            let found = claims(&token);
            table.check(&name, found["aud"] == own, || found["aud"].to_string());
            table.check(&name, site.call(&token).await == 200, String::new);
        }
    }
}

/// A site with a second user, who may allow reading only, and is signed in.
async fn with_reader() -> Site {
    let upstream = Upstream::start().await;
    let hash = hash(PASSWORD).await;
    let users = format!(
        "users:\n  - {{ name: ana, password: '{hash}' }}\n  \
         - {{ name: rea, password: '{hash}', scopes: [tasks:read] }}\n"
    );
    let config = with_users(base(&upstream).await, &users);
    let gateway = e2e::gateway::Gateway::start(config).await;
    let mut site = Site::of(gateway, upstream).await;
    site.sign_in("rea").await;
    site
}

/// What a refresh that asks for this scope gets.
async fn refreshed(
    site: &Site,
    client: &Client,
    token: &str,
    scope: &str,
) -> (u16, serde_json::Value) {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("scope", scope),
    ];
    client.ask(&site.gateway, &fields).await
}

#[tokio::test]
async fn attack_130_no_step_has_more_scopes_than_were_granted() {
    let mut site = with_reader().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;

    // At consent: the user may allow less than is asked for, and the form cannot add to it.
    let url = site.request(&client.id, &[("scope", Some(ALL_SCOPES))]);
    let consent = site.person.open(&url).await;
    table.row("consent", page(&consent, 200));
    let text = consent.text();
    table.check(
        "consent",
        text.contains("See your tasks") && !text.contains("Change your"),
        || text.clone(),
    );
    let fields = [
        ("decision", "allow"),
        ("scope", ALL_SCOPES),
        ("scopes", "tasks:write"),
    ];
    let allowed = site.person.submit(&consent, &fields).await;
    let code = client.code(&site.gateway, allowed.header("location"));
    let fields = changed(&redemption(&code), &[("scope", Some(ALL_SCOPES))]);
    let (status, answer) = client.ask(&site.gateway, &fields).await;
    assert_eq!(
        (status, &answer["scope"]),
        (200, &json!("tasks:read")),
        "{answer}"
    );
    let tokens = Tokens::of(answer);
    table.check(
        "token",
        claims(&tokens.access)["scope"] == "tasks:read",
        || claims(&tokens.access)["scope"].to_string(),
    );
    let write = site.gateway.post(e2e::client::tool(1, "create_task"));
    let (reply, hits) = (
        write.token(&tokens.access).send().await,
        site.upstream.hits(),
    );
    table.check(
        "a tool that changes",
        (reply.status, hits) == (403, 0),
        || reply.text(),
    );
    let nothing = site.request(&client.id, &[("scope", Some("tasks:write"))]);
    table.row(
        "nothing to allow",
        page(&site.person.open(&nothing).await, 403),
    );

    // At a refresh.
    let mut newest = tokens.refresh;
    for (asked, outcome) in [
        ("tasks:read tasks:write", Ok("tasks:read")),
        ("tasks:write", Err("invalid_scope")),
        ("tasks:write tasks:admin", Err("invalid_scope")),
        ("tasks:r\"ead", Err("invalid_scope")),
        ("tasks:read", Ok("tasks:read")),
        ("", Ok("tasks:read")),
    ] {
        let answer = refreshed(&site, &client, &newest, asked).await;
        match outcome {
            Err(code) => drop(table.row(asked, refused(&answer, 400, code))),
            Ok(scope) => {
                let (status, answer) = answer;
                table.check(
                    asked,
                    (status, &answer["scope"]) == (200, &json!(scope)),
                    || format!("{status} {} {}", answer["scope"], answer["error"]),
                );
                newest = Tokens::of(answer).refresh;
            }
        }
    }

    // Narrowing is for one token; the grant keeps what it had.
    site.sign_in("ana").await;
    let tokens = site.tokens(&client, ALL_SCOPES).await;
    let (_, narrow) = refreshed(&site, &client, &tokens.refresh, "tasks:read").await;
    table.check("narrowed", narrow["scope"] == "tasks:read", || {
        narrow["scope"].to_string()
    });
    let (_, whole) = client
        .refresh(&site.gateway, &Tokens::of(narrow).refresh)
        .await;
    table.check("whole again", whole["scope"] == ALL_SCOPES, || {
        whole["scope"].to_string()
    });
}

#[tokio::test]
async fn attack_223_scopes_that_are_not_known_are_dropped_and_odd_blanks_are_read() {
    let mut site = Site::start().await;
    let mut table = Table::default();
    let client = Client::register(&site.gateway).await;
    for (asked, expected) in [
        (Some("openid email profile"), "tasks:read"),
        (Some(" tasks:read"), "tasks:read"),
        (Some("tasks:read "), "tasks:read"),
        (Some("tasks:read  tasks:write"), ALL_SCOPES),
        (Some("tasks:read tasks:read tasks:read"), "tasks:read"),
        (Some("tasks:write tasks:read"), ALL_SCOPES),
        (Some("tasks:write unknown:scope"), "tasks:write"),
        (Some("TASKS:WRITE"), "tasks:read"),
        (Some("tasks:*"), "tasks:read"),
        (Some("a\\b"), "tasks:read"),
        (Some(""), "tasks:read"),
        (None, "tasks:read"),
    ] {
        let name = format!("{asked:?}");
        let code = site.code(&client.id, &[("scope", asked)]).await;
        let tokens = client.redeem(&site.gateway, &code).await;
        let mut found: Vec<_> = tokens.answer["scope"]
            .as_str()
            .unwrap()
            .split(' ')
            .collect();
        found.sort_unstable();
        table.check(&name, found.join(" ") == expected, || {
            tokens.answer["scope"].to_string()
        });
        let claimed = &claims(&tokens.access)["scope"];
        table.check(&name, *claimed == tokens.answer["scope"], || {
            claimed.to_string()
        });
        if asked.is_some_and(|asked| asked.contains('\\')) {
            let answer = refreshed(&site, &client, &tokens.refresh, asked.unwrap()).await;
            table.row(&name, refused(&answer, 400, "invalid_scope"));
            continue;
        }
        // A refresh with the same words gets the same.
        let (status, answer) =
            refreshed(&site, &client, &tokens.refresh, asked.unwrap_or_default()).await;
        let same = (status, &answer["scope"]) == (200, &tokens.answer["scope"]);
        table.check(&name, same, || {
            format!("refresh: {status} {}", answer["scope"])
        });
    }
}

#[tokio::test]
async fn attack_224_offline_access_belongs_to_the_server_and_not_to_the_resource() {
    let mut site = Site::start().await;
    let server = site
        .gateway
        .get("/.well-known/oauth-authorization-server")
        .send()
        .await
        .json();
    let resource = site
        .gateway
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await;
    let resource = resource.json();
    assert_eq!(
        server["scopes_supported"],
        json!(["tasks:read", "tasks:write", "offline_access"])
    );
    assert_eq!(
        resource["scopes_supported"],
        json!(["tasks:read", "tasks:write"])
    );
    let challenge = site
        .gateway
        .post(e2e::client::tool(1, "list_tasks"))
        .send()
        .await;
    assert!(
        !challenge.challenge().contains("offline_access"),
        "{}",
        challenge.challenge()
    );
    let client = Client::register(&site.gateway).await;
    for asked in ["tasks:read offline_access", "offline_access", "tasks:read"] {
        let code = site.code(&client.id, &[("scope", Some(asked))]).await;
        let tokens = client.redeem(&site.gateway, &code).await;
        assert_eq!(tokens.answer["scope"], "tasks:read", "{asked}");
        assert_eq!(claims(&tokens.access)["scope"], "tasks:read", "{asked}");
        let newer = site.lives(&client, &tokens).await.unwrap();
        let (status, answer) = refreshed(&site, &client, &newer.refresh, asked).await;
        assert_eq!(
            (status, &answer["scope"]),
            (200, &json!("tasks:read")),
            "{asked}"
        );
    }
}

/// Changes the users file of a site whose user has allowed everything. Fails unless refresh, code and session get `scope`, or nothing
/// where there is none.
async fn after(
    name: &str,
    scope: Option<&str>,
    change: impl Fn(&str) -> String,
) -> Result<(), String> {
    let mut site = Site::start().await;
    let client = Client::register(&site.gateway).await;
    let tokens = site.tokens(&client, ALL_SCOPES).await;
    let code = site.code(&client.id, &[("scope", Some(ALL_SCOPES))]).await;
    let config = site.gateway.config.clone();
    let users = std::fs::read_to_string(config.folder().join("users.yaml")).unwrap();
    with_users(config, &change(&users));
    // The file is read again when it changes.
    let (gateway, mut newest) = (&site.gateway, tokens.refresh.clone());
    e2e::eventually(name, async || {
        let (status, answer) = client.refresh(gateway, &newest).await;
        if status != 200 {
            return scope.is_none() && refused(&(status, answer), 400, "invalid_grant").is_ok();
        }
        let is_narrowed = scope.is_some_and(|scope| answer["scope"] == scope);
        newest = Tokens::of(answer).refresh;
        is_narrowed
    })
    .await;
    let (status, answer) = client.ask(gateway, &redemption(&code)).await;
    let asked = site.person.open(&site.request(&client.id, &[])).await;
    let signs_in = asked.text().contains("name=\"password\"");
    if scope.is_none() {
        refused(&(status, answer.clone()), 400, "invalid_grant")?;
    }
    let found = (answer["scope"].as_str(), signs_in);
    match found == (scope, scope.is_none()) {
        true => Ok(()),
        false => Err(format!("{found:?}: {}", asked.text())),
    }
}

#[tokio::test]
async fn attack_242_a_user_who_is_changed_or_removed_loses_what_was_allowed() {
    let mut table = Table::default();
    let another = hash("another horse battery").await;
    let password = |users: &str| users.split('\'').nth(1).unwrap().to_owned();
    let (narrowed, replaced, renamed, removed) = tokio::join!(
        after("narrowed", Some("tasks:read"), |users| {
            format!("{users}    scopes: [tasks:read]\n")
        }),
        after("a new password", None, |users| {
            users.replace(&password(users), &another)
        }),
        after("another name", None, |users| {
            users.replace("name: ana", "name: anna")
        }),
        after("removed", None, |users| {
            let somebody = users.replace("name: ana", "name: somebody-else");
            somebody.replace(&password(users), &another)
        }),
    );
    table.row("narrowed", narrowed);
    table.row("a new password", replaced);
    table.row("another name", renamed);
    table.row("removed", removed);
}
