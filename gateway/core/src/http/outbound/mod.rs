//! Requests of the gateway itself: which hosts are this machine or an internal network, which are reached without the forward
//! proxy, which URLs of strangers are fetched ([`foreign_url`]), and by which key a server is known ([`key_pin`]).

pub mod foreign_url;
pub mod host;
pub mod key_pin;
pub mod no_proxy;
