//! `mcp-gateway demo`: a first authorized call without any set-up.
//!
//! Starts the task server on a unix socket in a temporary directory, puts the gateway in front of it, with the built-in authorization
//! server where one user can sign in, and prints commands to paste. The configuration is an ordinary file, checked and loaded
//! like any other. The directory is removed at exit.

mod credentials;
mod error;
mod example_calls;
mod instructions;

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    thread::JoinHandle,
};

use clap::Args;
use tempfile::TempDir;
use tokio::sync::oneshot;
use upstream_tasks::{Listener, ServeConfig, TaskStore};

use super::{check, exit::report_cannot_run};
use crate::{
    app::{Prepared, Start},
    config::{Finding, authorization_server::DemoUser},
    fetch::internet::Outside,
};
use error::DemoError;
use example_calls::ExampleCall;
use instructions::Instructions;

/// What `demo` takes.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Serve https with a certificate made for this run (on port 8443 unless --address says otherwise).
    #[arg(long)]
    tls: bool,
    /// Where to listen; loopback only.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<SocketAddr>,
    /// Where metrics and probes are served; loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// Runs the demonstration until Ctrl-C.
pub(super) fn demo(options: &Options, out: &mut dyn Write, errors: &mut dyn Write) -> ExitCode {
    match try_demo(options, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report_cannot_run(&error, errors),
    }
}

fn try_demo(options: &Options, out: &mut dyn Write) -> Result<(), DemoError> {
    let files = DemoFiles::create(options)?;
    let mut config = check::load(&files.config, None)
        .map_err(|findings| configuration_error(&files, &findings))?;
    if let Some(server) = &mut config.config.authorization_server {
        server.demo = Some(DemoUser {
            user: credentials::USER.to_owned(),
            password: credentials::PASSWORD.to_owned(),
        });
    }
    let tasks = TaskServer::start(&files)?;
    let gateway = Prepared::new(&config, Start::Fresh, Outside::default())?;
    let instructions = Instructions {
        url: files.url(),
        authority: files.authority(),
        config: &files.config,
        list_tasks: &files.example(&ExampleCall::list_tasks())?,
        create_task: &files.example(&ExampleCall::create_task())?,
        sign: &|scope| gateway.sign_for_demo(credentials::USER, scope),
        admin: options.admin,
    };
    // The demonstration keeps running when standard output is closed.
    let _ = instructions.print(out);
    let served = gateway.serve();
    tasks.stop();
    Ok(served?)
}

fn configuration_error(files: &DemoFiles, findings: &[Finding]) -> DemoError {
    let all = findings
        .iter()
        .map(|finding| finding.in_file(&files.config).to_string());
    DemoError::Config(all.collect::<Vec<_>>().join("; "))
}

/// The temporary directory and the files in it.
struct DemoFiles {
    directory: TempDir,
    config: PathBuf,
    scheme: &'static str,
    port: u16,
}

impl DemoFiles {
    fn create(options: &Options) -> Result<Self, DemoError> {
        let (scheme, port) = if options.tls {
            ("https", 8443)
        } else {
            ("http", 8080)
        };
        let address = options
            .address
            .unwrap_or_else(|| ([127, 0, 0, 1], port).into());
        if !address.ip().is_loopback() {
            return Err(DemoError::NotLoopback(address));
        }
        if !options.admin.ip().is_loopback() {
            return Err(DemoError::AdminNotLoopback(options.admin));
        }
        if address.port() == 0 {
            return Err(DemoError::NoPort((address.ip(), 18080).into()));
        }
        let directory = tempfile::Builder::new()
            .prefix("mcp-gateway-demo-")
            .tempdir()
            .map_err(|error| DemoError::file(&std::env::temp_dir(), error))?;
        let files = Self {
            config: directory.path().join("gateway.yaml"),
            port: address.port(),
            directory,
            scheme,
        };
        files.write("users.yaml", credentials::users()?)?;
        files.write("session.key", credentials::make_session_key()?)?;
        if options.tls {
            let (authority, certificate, key) = credentials::make_certificates()?;
            files.write("ca.pem", authority)?;
            files.write("tls.crt", certificate)?;
            files.write("tls.key", key)?;
        }
        files.write("gateway.yaml", files.yaml(address, options))?;
        Ok(files)
    }

    fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.port)
    }

    /// The file of the CA, where the demonstration serves https.
    fn authority(&self) -> Option<PathBuf> {
        (self.scheme == "https").then(|| self.file("ca.pem"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, DemoError> {
        let path = self.file(name);
        create_private_file(&path)
            .and_then(|mut file| file.write_all(content.as_ref()))
            .map_err(|error| DemoError::file(&path, error))?;
        Ok(path)
    }

    /// Writes the files of an example call; what `curl -K` takes.
    fn example(&self, call: &ExampleCall) -> Result<PathBuf, DemoError> {
        let message = self.write(&format!("{}.json", call.tool), call.message())?;
        let resource = format!("{}/mcp", self.url());
        let options = call.curl(&resource, self.authority().as_deref(), &message);
        self.write(&format!("{}.curl", call.tool), options)
    }

    fn yaml(&self, address: SocketAddr, options: &Options) -> String {
        let tls = if options.tls {
            "\n    tls: { certificates: [ { certificate: tls.crt, private_key: tls.key } ] }"
        } else {
            ""
        };
        format!(
            include_str!("gateway.yaml"),
            url = self.url(),
            address = address,
            tls = tls,
            admin = options.admin,
            host = address,
        )
    }
}

/// A file that only its owner reads: some of them are keys.
fn create_private_file(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// The task server on a thread of its own.
struct TaskServer {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl TaskServer {
    fn start(files: &DemoFiles) -> Result<Self, DemoError> {
        let failed = |error: &dyn std::fmt::Display| DemoError::Tasks(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let store = TaskStore::open(files.file("tasks.json")).map_err(|error| failed(&error))?;
        let listener = runtime
            .block_on(Listener::bind_unix(files.file("tasks.sock")))
            .map_err(|error| failed(&error))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let stopped = async { drop(stopped.await) };
            let served = runtime.block_on(upstream_tasks::serve(
                listener,
                store,
                ServeConfig::default(),
                stopped,
            ));
            if let Err(error) = served {
                tracing::error!("the task server failed: {error}");
            }
        });
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        // A server that has stopped needs no message, and a panic was logged.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(address: &str) -> Option<String> {
        refusal_with(address, "127.0.0.1:9090")
    }

    fn refusal_with(address: &str, admin: &str) -> Option<String> {
        let options = Options {
            tls: false,
            address: Some(address.parse().unwrap()),
            admin: admin.parse().unwrap(),
        };
        let refused = DemoFiles::create(&options).err();
        refused.map(|error| error.to_string())
    }

    #[test]
    fn it_listens_on_a_known_port_of_loopback() {
        assert_eq!(refusal("127.0.0.1:18080"), None);
        let no_port = refusal("127.0.0.1:0").unwrap();
        assert!(no_port.contains("--address 127.0.0.1:18080"), "{no_port}");
        let no_port = refusal("[::1]:0").unwrap();
        assert!(no_port.contains("--address [::1]:18080"), "{no_port}");
        let elsewhere = refusal("192.0.2.1:8080").unwrap();
        assert!(elsewhere.contains("loopback addresses only"), "{elsewhere}");
        for admin in ["0.0.0.0:9090", "192.0.2.1:9090", "[::]:9090"] {
            let elsewhere = refusal_with("127.0.0.1:18080", admin).unwrap();
            assert!(elsewhere.contains("(--admin)"), "{elsewhere}");
        }
        assert_eq!(refusal_with("127.0.0.1:18080", "[::1]:9090"), None);
    }
}
