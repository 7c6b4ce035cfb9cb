//! What a message calls, as policies and limits see it.

/// What is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Operation<'a> {
    /// The JSON-RPC method. GET, DELETE and answers to a server's request have none: they call no method.
    pub method: Option<&'a str>,
    /// The tool, prompt, resource URI or task that the method is about.
    pub name: Option<&'a str>,
    /// What the call uses in addition to its name.
    pub references: &'a [Reference],
    /// The arguments of a tool or prompt: a raw JSON value.
    pub arguments: Option<&'a [u8]>,
    /// Names of headers that mirror arguments, without an argument of that name.
    pub params_without_argument: &'a [Box<str>],
    /// The protocol version, where the message or its header names one.
    pub version: Option<&'a str>,
}

/// What a call uses in addition to its name: an entry of `subscriptions/listen`, the reference of `completion/complete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A resource, or a template of resources, by its URI.
    Resource(Box<str>),
    /// A prompt, by its name.
    Prompt(Box<str>),
}
