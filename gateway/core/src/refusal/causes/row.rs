//! The four texts about a reason.

/// What an operator needs to know about a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Causes {
    /// When the gateway returns it.
    pub when: &'static str,
    /// The usual causes.
    pub causes: &'static str,
    /// What the `detail` of the access line says.
    pub detail: &'static str,
    /// How to fix it.
    pub cure: &'static str,
}
