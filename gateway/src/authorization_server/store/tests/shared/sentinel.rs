//! The server that Sentinel names, and the one that takes over.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use super::{
    server::{at, free_port},
    *,
};
use crate::config::authorization_server::{SharedStore, StoreServers};

/// The longest that Sentinel may take to let a replica take over on a slow machine.
const TAKE_OVER: Duration = Duration::from_secs(90);

struct Sentinel {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    /// Watches the server at this port.
    fn start(program: &str, server: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        let port = free_port();
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {server} 1\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n",
            folder.path().display()
        );
        fs::write(&file, text).unwrap();
        let child = Command::new(program)
            .arg(&file)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    fn settings(&self) -> SharedStore {
        let nobody = ("127.0.0.1".to_owned(), free_port());
        let own = ("127.0.0.1".to_owned(), self.port);
        SharedStore {
            key: "authorization_server.store",
            servers: StoreServers::Sentinels {
                addresses: vec![nobody, own],
                master: "main".to_owned(),
            },
            ..at(0)
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_that_sentinel_names_is_used() {
    for program in PROGRAMS {
        let shared = Shared::new(program);
        let sentinel = Sentinel::start(program, shared.served.port);
        let settings = sentinel.settings();
        let store = Store::connect(&settings, &shared.folder.path().join("state")).unwrap();
        store.write(count_up).await.unwrap();
        assert_eq!(counted(&shared.store).await, 1, "{program}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as Sentinel needs; make acceptance runs it"]
async fn the_replica_that_takes_over_is_used() {
    for program in PROGRAMS {
        let mut shared = Shared::new(program);
        let main = shared.served.port.to_string();
        let replica = Served::start(program, &["--replicaof", "127.0.0.1", &main]);
        let sentinel = Sentinel::start(program, shared.served.port);
        let settings = sentinel.settings();
        let store = Store::connect(&settings, &shared.folder.path().join("state")).unwrap();
        store.write(count_up).await.unwrap();
        // The replica has it, and Sentinel knows the replica.
        let mut admin = replica.admin();
        let begun = Instant::now();
        while redis::cmd("GET")
            .arg("mcp-gateway:meta:count")
            .query::<Option<Vec<u8>>>(&mut admin)
            .unwrap()
            .is_none()
        {
            assert!(begun.elapsed() < TAKE_OVER);
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_secs(12)).await;
        shared.served.kill();
        let begun = Instant::now();
        while store.write(count_up).await.is_err() {
            assert!(begun.elapsed() < TAKE_OVER, "{program}");
            sleep(Duration::from_millis(100)).await;
        }
        println!(
            "{program}: another server took over after {:?}",
            begun.elapsed()
        );
        assert!(counted(&store).await >= 2);
    }
}
