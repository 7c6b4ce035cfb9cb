//! How many questions an endpoint gets at once: a slow one does not take what other requests need, and one address does not take all.

use std::sync::Arc;

use mcp_gateway_core::{
    http::client_address::CountedAddress,
    refusal::{Refusal, reason::Reason},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::per_address::{AddressSlot, ConnectionsPerAddress};

/// Of the questions at once, one address has at most this share.
const SHARE_OF_ADDRESS: usize = 4;

/// The places of one endpoint.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    all: Arc<Semaphore>,
    of_addresses: ConnectionsPerAddress,
}

/// A question under way. Dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<AddressSlot>,
}

impl Places {
    /// Places for so many questions at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            all: Arc::new(Semaphore::new(most)),
            of_addresses: ConnectionsPerAddress::default(),
        }
    }

    /// A place for a question about a token from this address; none for one that is not counted.
    ///
    /// # Errors
    /// [`Reason::IntrospectionBusy`].
    pub(super) fn take(&self, address: Option<CountedAddress>) -> Result<Place, Refusal> {
        let share = (self.most / SHARE_OF_ADDRESS).max(1);
        let slot = |address| {
            let slot = self.of_addresses.try_acquire(address, share);
            slot.ok_or_else(|| busy(share, " from this address"))
        };
        let of_address = address.map(slot).transpose()?;
        let of_all = self.all.clone().try_acquire_owned();
        Ok(Place {
            _of_all: of_all.map_err(|_| busy(self.most, ""))?,
            _of_address: of_address,
        })
    }
}

fn busy(most: usize, whose: &str) -> Refusal {
    let detail =
        format!("{most} tokens{whose} are being introspected (issuers.*.introspection.calls)");
    Refusal {
        detail: Some(detail.into()),
        ..Reason::IntrospectionBusy.into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(last: u8) -> Option<CountedAddress> {
        let address = Ipv4Addr::new(192, 0, 2, last);
        Some(CountedAddress::of(IpAddr::V4(address)))
    }

    #[test]
    fn an_address_takes_a_quarter_of_the_places() {
        let places = Places::new(8);
        let of_one: Vec<_> = (0..2).map(|_| places.take(address(1)).unwrap()).collect();
        let refused = places.take(address(1)).unwrap_err();
        assert_eq!(refused.reason, Reason::IntrospectionBusy);
        assert!(
            refused
                .detail
                .unwrap()
                .contains("2 tokens from this address")
        );
        let others: Vec<_> = (0..6).map(|_| places.take(None).unwrap()).collect();
        let refused = places.take(address(2)).unwrap_err();
        assert!(refused.detail.unwrap().contains("8 tokens are being"));
        drop(others);
        places.take(address(2)).unwrap();
        drop(of_one);
        places.take(address(1)).unwrap();
    }
}
