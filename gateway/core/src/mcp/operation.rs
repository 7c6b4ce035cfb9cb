//! What a message calls, as policies and limits see it.

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
