//! Certificates of clients in the TLS handshake: [`any`] verifies those that are requested and not demanded, with the [`key`] of the
//! certificate; [`refused`] says for the operator why one was refused, here or by rustls (`listen.tls.client_ca`).

pub(super) mod any;
mod key;
#[cfg(test)]
mod made;
pub(super) mod refused;
