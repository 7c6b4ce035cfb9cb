//! What goes back to the client: [`respond`] writes the gateway's own answers, [`relay`] streams the upstream's, [`rewrite`] changes
//! those that must not pass as they are, by [`list_filter`] or by sealing.

pub(crate) mod list_filter;
pub(crate) mod relay;
pub(crate) mod respond;
pub(crate) mod rewrite;
