//! How many connections each address has open (`limits.connections_per_address`). An address without one has no entry.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::http::client_address::CountedAddress;

/// The open connections of every address; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionsPerAddress(Arc<Mutex<HashMap<CountedAddress, usize>>>);

/// One connection counted for its address; dropping it releases it.
#[derive(Debug)]
pub(crate) struct AddressSlot {
    connections: ConnectionsPerAddress,
    address: CountedAddress,
}

impl ConnectionsPerAddress {
    /// A slot for one more connection of this address, unless it has `max_connections` already.
    pub(crate) fn try_acquire(
        &self,
        address: CountedAddress,
        max_connections: usize,
    ) -> Option<AddressSlot> {
        let mut open = self.open();
        let count = open.get(&address).copied().unwrap_or(0);
        if count >= max_connections {
            return None;
        }
        open.insert(address, count + 1);
        Some(AddressSlot {
            connections: self.clone(),
            address,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<CountedAddress, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressSlot {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(address: &str) -> CountedAddress {
        CountedAddress::of(address.parse().unwrap())
    }

    #[test]
    fn an_address_gets_its_slots_and_no_more() {
        let connections = ConnectionsPerAddress::default();
        let acquire = |address: &str| connections.try_acquire(counted(address), 2);
        let (one, two) = (acquire("198.51.100.7"), acquire("198.51.100.7"));
        assert!(one.is_some() && two.is_some());
        assert!(acquire("198.51.100.7").is_none());
        assert!(acquire("198.51.100.8").is_some());
        drop(one);
        assert!(acquire("198.51.100.7").is_some());
        drop(two);
        assert!(connections.open().is_empty());
    }

    #[test]
    fn ipv6_addresses_of_one_site_share_their_slots() {
        let connections = ConnectionsPerAddress::default();
        let acquire = |address: &str| connections.try_acquire(counted(address), 1);
        let _first = acquire("2001:db8:1:2::1");
        assert!(acquire("2001:db8:1:2:ffff::1").is_none());
        assert!(acquire("2001:db8:1:3::1").is_some());
    }
}
