//! The check that a redirect URI of a client has to pass. Registrations, documents and configured clients share it.

/// Says whether a redirect URI may be used, or what is wrong with it, as a clause.
pub type RedirectCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;
