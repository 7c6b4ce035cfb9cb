//! How many connections each address has open. An address that has none takes no room here.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::http::client_address::counted_as;

/// The open connections of every address; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    address: IpAddr,
}

impl Places {
    /// A place for a connection of this address, unless it has `most` already.
    pub(crate) fn take(&self, address: IpAddr, most: usize) -> Option<Place> {
        let address = counted_as(address);
        let mut open = self.open();
        let count = open.get(&address).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        open.insert(address, count + 1);
        Some(Place {
            places: self.clone(),
            address,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_no_more() {
        let places = Places::default();
        let take = |address: &str| places.take(address.parse().unwrap(), 2);
        let (one, two) = (take("198.51.100.7"), take("198.51.100.7"));
        assert!(one.is_some() && two.is_some());
        assert!(take("198.51.100.7").is_none());
        assert!(take("198.51.100.8").is_some());
        drop(one);
        assert!(take("198.51.100.7").is_some());
        drop(two);
        assert!(places.open().is_empty());
    }

    #[test]
    fn ipv6_addresses_of_one_site_share_their_places() {
        let places = Places::default();
        let take = |address: &str| places.take(address.parse().unwrap(), 1);
        let _first = take("2001:db8:1:2::1");
        assert!(take("2001:db8:1:2:ffff::1").is_none());
        assert!(take("2001:db8:1:3::1").is_some());
    }
}
