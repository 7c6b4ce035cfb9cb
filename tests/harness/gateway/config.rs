//! The gateway's configuration file for a test: the common case, and anything changed in it by its path.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::issuer::Issuer;
use crate::process::binary::repository;
use crate::process::port;
use crate::upstream::Upstream;
use test_support::{Key, key_set};

/// The issuer identifier of the common case; nothing listens there, its keys come from a file.
pub const ISSUER: &str = "https://issuer.test/";

/// A configuration being built, with its own folder.
#[derive(Clone)]
pub struct Config {
    /// The public listener.
    pub public: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The `Host` of requests that do not go through the common address of several processes.
    pub front: Option<String>,
    value: Value,
    folder: Arc<TempDir>,
}

impl Config {
    /// One resource `/mcp` in front of `upstream`; it requires `tasks:read`, the changing tools `tasks:write`; the issuer
    /// [`ISSUER`] with these keys in a file.
    pub fn new(upstream: &str, keys: &[&Key]) -> Self {
        let config = Self::empty();
        let file = config.write("jwks.json", key_set(keys).to_string());
        config
            .set(
                "/issuers/corporate",
                json!({ "issuer": ISSUER, "jwks_file": file }),
            )
            .set(
                "/resources",
                json!([resource("/mcp", upstream, &["corporate"])]),
            )
    }

    /// The same with keys by discovery from `issuer`.
    pub fn discovering(upstream: &Upstream, issuer: &Issuer) -> Self {
        Self::empty()
            .set(
                "/issuers/corporate",
                json!({ "issuer": issuer.identifier() }),
            )
            .set(
                "/resources",
                json!([resource("/mcp", &upstream.url(), &["corporate"])]),
            )
    }

    /// A file of `config/` with only addresses and issuers changed: listeners on free ports, every resource in front of
    /// `upstream`, every issuer [`ISSUER`] with these keys in a file.
    pub fn example(name: &str, upstream: &str, keys: &[&Key]) -> Self {
        let mut config = Self::as_shipped(name, upstream);
        let file = config.write("jwks.json", key_set(keys).to_string());
        for issuer in config.value["issuers"]
            .as_object_mut()
            .expect("issuers")
            .values_mut()
        {
            *issuer = json!({ "issuer": ISSUER, "jwks_file": file });
        }
        config
    }

    /// A file of `config/` with only addresses changed: listeners on free ports, every resource in front of `upstream`.
    pub fn as_shipped(name: &str, upstream: &str) -> Self {
        let mut config = Self::shipped(name);
        let resources = config.value["resources"].as_array_mut();
        for resource in resources.expect("resources") {
            match resource["upstream"].as_object_mut() {
                Some(parts) if parts.contains_key("url") => {
                    parts.insert("url".to_owned(), json!(upstream));
                }
                _ => resource["upstream"] = json!(upstream),
            }
        }
        config
    }

    /// A file of `config/` with only its listeners changed: they are on free ports.
    pub fn shipped(name: &str) -> Self {
        let text = std::fs::read_to_string(repository("config").join(name)).expect("an example");
        let mut value: Value = serde_yaml::from_str(&text).expect("YAML");
        let mut config = Self::empty();
        for (key, own) in config.value.as_object().expect("a mapping") {
            value[key] = own.clone();
        }
        config.value = value;
        config
    }

    /// Listeners only.
    pub fn empty() -> Self {
        let (public, admin) = (port::free(), port::free());
        let value = json!({
            "public_url": format!("http://{public}"),
            "listen": [{ "address": public.to_string() }],
            "admin": { "address": admin.to_string() },
            "log": { "level": "debug", "format": "json" },
            // Many tests send `initialize` as their ordinary request.
            "limits": { "initializations_per_principal": 1_000_000 },
        });
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self {
            public,
            admin,
            front: None,
            value,
            folder,
        }
    }

    /// Sets what the JSON pointer names; missing objects on the way are created.
    pub fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.value;
        for step in pointer.trim_start_matches('/').split('/') {
            let step = step.replace("~1", "/");
            place = match place {
                Value::Array(items) => {
                    let index: usize = step
                        .parse()
                        .unwrap_or_else(|_| panic!("{pointer}: {step} is not an index"));
                    items.resize(items.len().max(index + 1), Value::Null);
                    &mut items[index]
                }
                other => &mut other[step],
            };
        }
        *place = value.into();
        self
    }

    /// Whether it has what the JSON pointer names.
    pub fn has(&self, pointer: &str) -> bool {
        self.value.pointer(pointer).is_some()
    }

    /// Removes a key of the root.
    pub fn without(mut self, key: &str) -> Self {
        let (parent, last) = key.rsplit_once('/').unwrap_or(("", key));
        let steps = parent.split('/').filter(|step| !step.is_empty());
        let place = steps.fold(&mut self.value, |place, step| match step.parse::<usize>() {
            Ok(number) if place.is_array() => &mut place[number],
            _ => &mut place[step],
        });
        if let Some(members) = place.as_object_mut() {
            members.remove(last);
        }
        self
    }

    /// Writes a file next to the configuration and returns its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("the folder is writable");
        path
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL that clients use, without a path.
    pub fn public_url(&self) -> String {
        self.value["public_url"]
            .as_str()
            .expect("a text")
            .to_owned()
    }

    /// The URL of the upstream of the first resource.
    pub fn upstream(&self) -> String {
        let upstream = &self.value["resources"][0]["upstream"];
        let url = upstream.as_str().or(upstream["url"].as_str());
        url.expect("a text").to_owned()
    }

    /// Writes a new private key (P-256) next to the configuration, which only its owner can read, and returns its path.
    pub fn write_key(&self, name: &str) -> PathBuf {
        let key = rcgen::KeyPair::generate().expect("a key");
        let path = self.write(name, key.serialize_pem());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("its mode can be set");
        path
    }

    /// The content of `audit.file`, where that is a file.
    pub fn audit(&self) -> String {
        let file = self.value["audit"]["file"].as_str();
        let file = file.map(|file| self.folder().join(file));
        let file = file.filter(|file| file.is_file());
        file.map_or_else(String::new, |file| {
            std::fs::read_to_string(file).expect("the audit file is text")
        })
    }

    /// The same for another process: other listeners, and a folder of its own. Files that were written keep their place.
    pub fn replica(&self, public: SocketAddr, admin: SocketAddr) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let own = Self {
            public,
            admin,
            front: Some(self.public.to_string()),
            value: self.value.clone(),
            folder,
        };
        own.set("/listen/0/address", public.to_string())
            .set("/admin/address", admin.to_string())
    }

    /// Writes the configuration file and returns its path.
    pub fn file(&self) -> PathBuf {
        self.write("gateway.yaml", self.text())
    }

    /// The text of the configuration file.
    pub fn text(&self) -> String {
        serde_yaml::to_string(&self.value).expect("plain values")
    }
}

/// A protected resource of the common case.
pub fn resource(path: &str, upstream: &str, issuers: &[&str]) -> Value {
    json!({
        "path": path,
        "upstream": upstream,
        "issuers": issuers,
        "scopes": { "required": ["tasks:read"], "supported": ["tasks:read", "tasks:write"] },
        "policy": {
            "default": "allow",
            "rules": [
                { "method": "tools/call", "name": ["create_task", "complete_task"], "scopes": ["tasks:write"] },
            ],
        },
    })
}
