//! Requests of the gateway itself: which hosts are this machine or an internal network, and which are reached without the
//! forward proxy.

pub mod host;
pub mod no_proxy;
