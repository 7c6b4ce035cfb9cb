//! Users of a server who may not do everything, and servers that remove rows.

use std::{io::Write, sync::LazyLock};

use redis::{Connection, cmd};

use super::{
    servers,
    testing::{PROGRAMS, Served},
};
use crate::config::authorization_server::SharedStore;

/// Every command that the trial knows.
static COMMANDS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let lines = include_str!("commands.lua").lines();
    let named = lines.filter_map(|line| line.strip_prefix("  ")?.split_once(" = {"));
    named.map(|(name, _)| name).collect()
});

const SECRET: &str = "correct-horse";

/// What the user `gateway` may do.
fn allow(admin: &mut Connection, keys: &str, rules: &[&str]) {
    let mut set = cmd("ACL");
    set.arg("SETUSER").arg("gateway").arg("reset").arg("on");
    set.arg(format!(">{SECRET}")).arg(keys).arg(rules);
    let _: () = set.query(admin).unwrap();
}

struct Login {
    settings: SharedStore,
    _password: tempfile::NamedTempFile,
}

fn login(served: &Served) -> Login {
    let mut password = tempfile::NamedTempFile::new().unwrap();
    writeln!(password, "{SECRET}").unwrap();
    let settings = SharedStore {
        username: Some("gateway".to_owned()),
        password_file: Some(password.path().to_owned()),
        ..served.settings()
    };
    Login {
        settings,
        _password: password,
    }
}

async fn connected(login: &Login) -> Result<servers::Policy, String> {
    let connected = servers::connect(&login.settings, &COMMANDS).await;
    connected.map(|(_, policy)| policy)
}

#[tokio::test]
async fn a_user_who_may_not_run_a_command_is_refused_by_its_name() {
    for program in PROGRAMS {
        let served = Served::start(program, &[]);
        let (mut admin, login) = (served.admin(), login(&served));
        let keys = "~mcp-gateway:*";
        for command in COMMANDS.iter().chain(&["EVAL", "EVALSHA"]) {
            let right = command.to_ascii_lowercase();
            allow(&mut admin, keys, &["+@all", &format!("-{right}")]);
            let why = connected(&login).await.unwrap_err();
            let named = format!("refuses the command {command}:");
            assert!(why.contains(&named), "{program}: {why}");
            assert!(why.contains(&format!("(+{right})")), "{program}: {why}");
        }
        allow(&mut admin, "~other:*", &["+@all"]);
        let why = connected(&login).await.unwrap_err();
        assert!(why.contains("keys mcp-gateway:*"), "{program}: {why}");

        // With the rights of the documents, and nothing else.
        assert!(COMMANDS.contains(&"ZADD"));
        let rights = COMMANDS.iter();
        let rights = rights.map(|command| format!("+{}", command.to_ascii_lowercase()));
        let rights: Vec<_> = rights.collect();
        let mut rights: Vec<_> = rights.iter().map(String::as_str).collect();
        rights.extend(["+eval", "+evalsha"]);
        allow(&mut admin, keys, &rights);
        assert_eq!(connected(&login).await, Ok(None), "{program}");
        rights.push("+info");
        allow(&mut admin, keys, &rights);
        let policy = connected(&login).await.unwrap();
        assert_eq!(policy.as_deref(), Some("noeviction"), "{program}");
        let other = SharedStore {
            database: 1,
            ..login.settings.clone()
        };
        let why = servers::connect(&other, &COMMANDS).await.err().unwrap();
        assert!(why.contains("'select'"), "{program}: {why}");
    }
}

#[tokio::test]
async fn the_trial_leaves_nothing_and_a_full_server_is_connected() {
    for program in PROGRAMS {
        let served = Served::start(program, &[]);
        let mut admin = served.admin();
        let connect = async || servers::connect(&served.settings(), &COMMANDS).await;
        let (mut connection, policy) = connect().await.unwrap();
        assert_eq!(policy.as_deref(), Some("noeviction"), "{program}");
        assert_eq!(cmd("DBSIZE").query(&mut admin), Ok(0), "{program}");
        for (name, value) in [("maxmemory-policy", "allkeys-lru"), ("maxmemory", "1mb")] {
            let mut set = cmd("CONFIG");
            let _: () = set
                .arg("SET")
                .arg(name)
                .arg(value)
                .query(&mut admin)
                .unwrap();
        }
        let changed = servers::policy(&mut connection).await.unwrap();
        assert_eq!(changed.as_deref(), Some("allkeys-lru"), "{program}");
        let mut set = cmd("CONFIG");
        set.arg("SET").arg("maxmemory-policy").arg("noeviction");
        let _: () = set.query(&mut admin).unwrap();
        assert!(connect().await.is_ok(), "{program}");
        let mut replica = cmd("REPLICAOF");
        replica.arg("127.0.0.1").arg("1");
        let _: () = replica.query(&mut admin).unwrap();
        let why = connect().await.err().unwrap();
        assert!(why.contains("it is a replica"), "{program}: {why}");
    }
}
