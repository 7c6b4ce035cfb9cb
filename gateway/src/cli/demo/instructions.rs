//! What the demonstration prints: tokens, and lines to paste for curl, the Inspector and an `mcp.json`.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::credentials::{PASSWORD, USER};

/// Everything the printed lines name.
pub(super) struct Instructions<'a> {
    pub(super) url: String,
    /// The CA file, when the demonstration serves https.
    pub(super) authority: Option<PathBuf>,
    pub(super) config: &'a Path,
    /// What `curl -K` reads to list the tasks.
    pub(super) list_tasks: &'a Path,
    /// What `curl -K` reads to create a task.
    pub(super) create_task: &'a Path,
    /// Signs an access token with these scopes.
    pub(super) sign: &'a dyn Fn(&str) -> Option<String>,
    pub(super) admin: SocketAddr,
}

impl Instructions<'_> {
    /// Prints them.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let resource = format!("{}/mcp", self.url);
        let sign = |scope| {
            let failed = || io::Error::other("the token cannot be signed");
            (self.sign)(scope).ok_or_else(failed)
        };
        let (full, read_only) = (sign("tasks:read tasks:write")?, sign("tasks:read")?);
        let (curl, node, trust) = match self.authority.as_deref().map(Path::display) {
            Some(file) => (
                format!("curl --cacert {file}"),
                format!("NODE_EXTRA_CA_CERTS={file} "),
                format!(
                    " (the client must trust this run's CA: start it with NODE_EXTRA_CA_CERTS={file})"
                ),
            ),
            None => ("curl".to_owned(), String::new(), String::new()),
        };
        write!(
            out,
            include_str!("instructions.txt"),
            resource = resource,
            url = self.url,
            token = full,
            read_only = read_only,
            curl = curl,
            node = node,
            trust = trust,
            config = self.config.display(),
            list = self.list_tasks.display(),
            create = self.create_task.display(),
            admin = self.admin,
            user = USER,
            password = PASSWORD,
        )?;
        out.flush()
    }
}
