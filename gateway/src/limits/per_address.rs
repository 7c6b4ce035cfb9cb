//! How many connections each address has open (`limits.connections_per_address`), or how many questions about its tokens are under way.

use mcp_gateway_core::http::client_address::CountedAddress;

use super::shares::{Share, Shares};

/// The open connections of every address.
pub(crate) type ConnectionsPerAddress = Shares<CountedAddress>;

/// One connection counted for its address; dropping it releases it.
pub(crate) type AddressSlot = Share<CountedAddress>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_of_one_site_share_their_slots() {
        let connections = ConnectionsPerAddress::default();
        let acquire = |address: &str| {
            let counted = CountedAddress::of(address.parse().unwrap());
            connections.try_acquire(counted, 1)
        };
        let _first = acquire("2001:db8:1:2::1");
        assert!(acquire("2001:db8:1:2:ffff::1").is_none());
        assert!(acquire("2001:db8:1:3::1").is_some());
    }
}
