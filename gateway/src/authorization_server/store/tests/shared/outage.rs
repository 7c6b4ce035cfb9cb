//! A server that is taken away, and comes back.

use std::io::Write;

use redis::Commands;

use super::{
    proxy::{Mode, Proxy},
    server::at,
    *,
};
use crate::{
    authorization_server::store::shared::RemoteStore, config::authorization_server::SharedStore,
};

/// The longest that a slow machine may take until the store is used again.
const BACK: Duration = Duration::from_secs(30);

async fn until_it_works(store: &Store) {
    let begun = Instant::now();
    while put(store, b"back").await.is_err() {
        assert!(begun.elapsed() < BACK);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Why a connection is refused.
fn refused(settings: &SharedStore) -> String {
    let opened = RemoteStore::open_within(settings, Duration::from_secs(1));
    opened.map(|_| ()).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_the_server_was_killed_and_what_comes_meanwhile_is_refused()
 {
    for program in PROGRAMS {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"];
        let mut shared = Shared::on(Served::start(program, &durable));
        for _ in 0..20 {
            shared.store.write(count_up).await.unwrap();
        }
        shared.served.kill();
        let begun = Instant::now();
        let meanwhile = shared.store.write(count_up).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(
            matches!(meanwhile, Err(StoreError::Failed(_))),
            "{meanwhile:?}"
        );
        assert!(
            shared
                .store
                .read(|rows| rows.count(Table::Codes))
                .await
                .is_err()
        );
        // Those who come later do not wait.
        sleep(Duration::from_millis(2500)).await;
        let begun = Instant::now();
        assert!(shared.store.write(count_up).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(1500));
        shared.served.restart();
        until_it_works(&shared.store).await;
        assert_eq!(counted(&shared.store).await, 20, "{program}");
        assert_eq!(shared.store.figures().losses(), 1, "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_is_not_waited_for_and_no_change_is_made_twice() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        shared.store.write(count_up).await.unwrap();
        shared.served.signal("-STOP");
        let begun = Instant::now();
        let stalled = shared.store.write(count_up).await;
        assert!(stalled.is_err(), "{program}");
        assert!(begun.elapsed() < Duration::from_secs(10));
        shared.served.signal("-CONT");
        until_it_works(&shared.store).await;
        shared.store.write(count_up).await.unwrap();
        // The change without an answer was made once or not at all.
        let count = counted(&shared.store).await;
        assert!(count == 2 || count == 3, "{program}: {count}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_answer_is_lost_is_made_once() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        let proxy = Proxy::start(shared.served.port).await;
        let settings = at(proxy.port);
        let store = Store::connect(&settings, &shared.folder.path().join("state")).unwrap();
        store.write(count_up).await.unwrap();
        // Every second answer of a connection is lost, and connecting takes some answers.
        proxy.set(Mode::CutEvery(5));
        let mut answered = 1;
        for _ in 0..40 {
            let before = counted(&shared.store).await;
            match store.write(count_up).await {
                Ok(found) => {
                    assert_eq!(found, before, "{program}");
                    answered += 1;
                    assert_eq!(counted(&shared.store).await, before + 1, "{program}");
                }
                Err(_) => answered = counted(&shared.store).await,
            }
        }
        assert!(
            store.figures().losses() >= 3,
            "{}",
            store.figures().losses()
        );
        assert_eq!(counted(&shared.store).await, answered, "{program}");
        assert!(answered >= 20, "{program}: {answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_no_changes_or_is_full_refuses_them_and_nothing_is_half_made() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        shared.store.write(count_up).await.unwrap();
        let mut admin = shared.served.admin();
        let set = |admin: &mut redis::Connection, name: &str, value: &str| {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg(name).arg(value);
            let _: () = set.query(admin).unwrap();
        };
        set(&mut admin, "maxmemory", "1mb");
        let full = shared.store.write(count_up).await.unwrap_err().to_string();
        assert!(full.contains("is full (maxmemory)"), "{full}");
        // It can still be read, and rows can be removed.
        assert_eq!(counted(&shared.store).await, 1);
        let remove = |rows: &mut dyn Rows| rows.remove(Table::Meta, b"count");
        shared.store.write(remove).await.unwrap();
        set(&mut admin, "maxmemory", "0");
        shared.store.write(count_up).await.unwrap();

        let mut replica = redis::cmd("REPLICAOF");
        let _: () = replica.arg("127.0.0.1").arg("1").query(&mut admin).unwrap();
        let refused = shared.store.write(count_up).await.unwrap_err().to_string();
        assert!(refused.contains("replica"), "{refused}");
        let _: () = redis::cmd("REPLICAOF")
            .arg("NO")
            .arg("ONE")
            .query(&mut admin)
            .unwrap();
        until_it_works(&shared.store).await;
        assert_eq!(counted(&shared.store).await, 1, "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_found_with_its_password_only() {
    for program in PROGRAMS {
        let served = Served::start(program, &["--requirepass", "correct-horse"]);
        let mut settings = served.settings();
        let without = refused(&settings);
        assert!(without.contains("authorization_server.store"), "{without}");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "wrong").unwrap();
        settings.password_file = Some(file.path().to_owned());
        let wrong = refused(&settings);
        assert!(
            !wrong.contains("correct-horse") && !wrong.contains(": wrong"),
            "{wrong}"
        );
        std::fs::write(file.path(), "correct-horse\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = Store::connect(&settings, &folder.path().join("state")).unwrap();
        assert_eq!(store.write(count_up).await, Ok(0));
    }
    let nobody = refused(&at(server::free_port()));
    assert!(nobody.contains("cannot be reached"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_its_scripts_learns_them_again() {
    let shared = Shared::new("redis-server");
    shared.store.write(count_up).await.unwrap();
    let mut admin = shared.served.admin();
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut admin).unwrap();
    assert_eq!(shared.store.write(count_up).await, Ok(1));
    assert_eq!(shared.store.figures().losses(), 0);
    let keys: Vec<String> = admin.keys("*").unwrap();
    assert!(
        keys.iter().all(|key| key.starts_with("mcp-gateway:")),
        "{keys:?}"
    );
}
