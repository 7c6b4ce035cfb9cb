//! What a decision is made of: who calls, from where, and what the call touches.

use std::sync::Arc;

use super::super::principal::Principal;
use crate::cel::RequestFacts;
use crate::cel::kept_claims::KeptClaims;

/// Who calls, and by which request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// Whom the token is about.
    pub principal: &'a Arc<Principal>,
    /// The claims that conditions read.
    pub claims: &'a KeptClaims,
    /// The HTTP request.
    pub request: RequestFacts<'a>,
}

/// What is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operation<'a> {
    /// The JSON-RPC method. None for GET, DELETE and the answer to a server's request: they call nothing.
    pub method: Option<&'a str>,
    /// The tool, prompt, resource URI or task that the method is about.
    pub name: Option<&'a str>,
    /// What the call touches besides.
    pub references: &'a [Reference],
    /// The arguments of a tool or prompt: a raw JSON value.
    pub arguments: Option<&'a [u8]>,
    /// The protocol version, where the message or its header names one.
    pub version: Option<&'a str>,
}

/// What a call touches besides what it is named for: an entry of `subscriptions/listen`, the object of
/// `completion/complete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A resource, or a template of resources, by its URI.
    Resource(Box<str>),
    /// A prompt, by its name.
    Prompt(Box<str>),
}

/// One thing that a call touches, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) method: &'a str,
    pub(crate) name: Option<&'a str>,
}

impl Target<'_> {
    /// Whether its name is a URI.
    pub(crate) fn is_resource(&self) -> bool {
        self.method.starts_with("resources/") && self.name.is_some()
    }
}

impl<'a> From<&'a Reference> for Target<'a> {
    fn from(reference: &'a Reference) -> Self {
        let (method, name) = match reference {
            Reference::Resource(uri) => (READ_RESOURCE, uri),
            Reference::Prompt(name) => (GET_PROMPT, name),
        };
        Self {
            method,
            name: Some(name),
        }
    }
}

pub(crate) const CALL_TOOL: &str = "tools/call";
pub(crate) const GET_PROMPT: &str = "prompts/get";
pub(crate) const READ_RESOURCE: &str = "resources/read";
