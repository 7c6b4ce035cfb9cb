//! A key file of the gateway, changed by its command as operators type it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::gateway::config::Config;
use crate::leaks;
use crate::process::binary::binary;

/// The header for API keys in [`KeyFile::configure`].
pub const KEY_HEADER: &str = "X-API-Key";

/// A key file.
pub struct KeyFile {
    path: PathBuf,
    /// Where the command is typed; wherever the test runs if it is none.
    typed_in: Option<PathBuf>,
}

impl KeyFile {
    /// An empty file next to this configuration.
    pub fn beside(config: &Config) -> Self {
        Self {
            path: config.write("keys.jsonl", "# Keys of a test.\n"),
            typed_in: None,
        }
    }

    /// A file that is not there yet, by its bare name: the command is typed in the folder of this configuration.
    pub fn bare(config: &Config) -> Self {
        Self {
            path: "bare.jsonl".into(),
            typed_in: Some(config.folder().to_owned()),
        }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A configuration that reads the file, and whose first resource accepts its keys in both headers.
    pub fn configure(&self, config: Config) -> Config {
        config
            .set("/api_keys/files", json!([self.path]))
            .set("/resources/0/api_keys", json!({ "header": KEY_HEADER }))
    }

    /// Makes a key with these options besides its name, and returns it. It must not appear anywhere.
    pub fn make(&self, name: &str, options: &[&str]) -> String {
        let options = ["new", "--name", name]
            .into_iter()
            .chain(options.iter().copied());
        let printed = self.run(options);
        leaks::secret(printed.trim())
    }

    /// A key of `ci` for every resource, with the scope to read.
    pub fn reader(&self, name: &str) -> String {
        self.make(
            name,
            &[
                "--subject",
                "ci",
                "--scope",
                "tasks:read",
                "--all-resources",
            ],
        )
    }

    /// Removes a key.
    pub fn remove(&self, name: &str) {
        self.run(["remove", name]);
    }

    /// Replaces a part of the text, once.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.path).expect("a key file");
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        std::fs::write(&self.path, text.replace(from, to)).expect("a key file");
    }

    /// The lines, as the command lists them.
    pub fn lines(&self) -> Vec<Value> {
        let printed = self.run(["list", "--json"]);
        let lines = printed.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().expect("each line is JSON")
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(binary("mcp-gateway"))
            .arg("key")
            .args(arguments)
            .arg("--file")
            .arg(&self.path)
            .current_dir(self.typed_in.as_deref().unwrap_or(Path::new(".")))
            .output()
            .expect("the gateway's binary runs");
        let errors = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{errors}");
        String::from_utf8(stdout).expect("text")
    }
}

/// The key with its last character changed: to one that the checksum does not have.
pub fn mistyped(key: &str) -> String {
    let (rest, last) = key.split_at(key.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}
