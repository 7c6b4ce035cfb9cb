//! Requests of the gateway itself: which hosts are this machine or an internal network, which are reached without the forward
//! proxy, and which URLs of strangers are fetched ([`foreign_url`]).

pub mod foreign_url;
pub mod host;
pub mod no_proxy;
