//! How much the authorization server takes on: requests in progress and registrations, each with the share of one address.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    http::client_address::ClientAddress,
    rate::{refusal_budget::RefusalBudget, token_bucket::Rate},
};

use crate::{
    config::Addresses,
    limits::per_address::{AddressSlot, ConnectionsPerAddress},
};

const MINUTE: Duration = Duration::from_secs(60);

/// What is in progress, and what was taken on in the last minute.
#[derive(Debug)]
pub(super) struct Intake {
    started: Instant,
    requests: Arc<AtomicUsize>,
    of_addresses: ConnectionsPerAddress,
    registrations: Mutex<Registrations>,
}

/// Buckets of registrations: of all, when it is full again; and of each address.
#[derive(Debug, Default)]
struct Registrations {
    all: Duration,
    of_addresses: RefusalBudget,
}

/// The most that is taken on.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Which addresses are counted.
    pub(super) addresses: Addresses,
    /// Requests in progress.
    pub(super) requests: usize,
    /// Those of one address.
    pub(super) requests_per_address: usize,
    /// Registrations in a minute.
    pub(super) registrations: u32,
    /// Those of one address.
    pub(super) registrations_per_address: u32,
}

/// A request in progress; dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct Place {
    requests: Arc<AtomicUsize>,
    _address: Option<AddressSlot>,
}

/// Why something is not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There is too much from this address.
    Address,
    /// There is too much altogether.
    All,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            requests: Arc::default(),
            of_addresses: ConnectionsPerAddress::default(),
            registrations: Mutex::default(),
        }
    }

    /// Takes a request on.
    ///
    /// # Errors
    /// [`Full`].
    pub(super) fn request(&self, client: ClientAddress, limits: &Limits) -> Result<Place, Full> {
        let address = match limits.addresses.counted(client) {
            None => None,
            Some(address) => {
                let slot = self
                    .of_addresses
                    .try_acquire(address, limits.requests_per_address);
                Some(slot.ok_or(Full::Address)?)
            }
        };
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        // From here on, dropping the place takes it off again.
        let place = Place {
            requests: self.requests.clone(),
            _address: address,
        };
        (before < limits.requests).then_some(place).ok_or(Full::All)
    }

    /// Takes a registration on.
    ///
    /// # Errors
    /// [`Full`], and how long to wait.
    pub(super) fn registration(
        &self,
        client: ClientAddress,
        limits: &Limits,
    ) -> Result<(), (Full, Duration)> {
        let now = self.started.elapsed();
        let rate = Rate::new(limits.registrations, MINUTE, limits.registrations);
        let mut taken = self
            .registrations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let address = limits.addresses.counted(client);
        let per_address = limits.registrations_per_address;
        if let Some(address) = address
            && let Some(wait) = taken.of_addresses.wait(address, per_address, now)
        {
            return Err((Full::Address, wait));
        }
        let wait = rate.wait(taken.all, now);
        if !wait.is_zero() {
            return Err((Full::All, wait));
        }
        taken.all = rate.after(taken.all, now);
        if let Some(address) = address {
            taken.of_addresses.spend(address, per_address, now);
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            addresses: Addresses::default(),
            requests: 3,
            requests_per_address: 2,
            registrations: 4,
            registrations_per_address: 2,
        }
    }

    fn client(last: u8) -> ClientAddress {
        ClientAddress::Known([192, 0, 2, last].into())
    }

    #[test]
    fn an_address_has_a_share_of_the_requests_and_all_together_have_a_limit() {
        let (intake, limits) = (Intake::new(), limits());
        let request = |last| intake.request(client(last), &limits);
        let (first, second) = (request(1).unwrap(), request(1).unwrap());
        assert_eq!(request(1).unwrap_err(), Full::Address);
        let third = request(2).unwrap();
        assert_eq!(request(3).unwrap_err(), Full::All);
        drop((first, third));
        let _again = (request(1).unwrap(), request(3).unwrap());
        drop(second);
        assert_eq!(intake.requests.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn local_addresses_have_no_share_of_their_own() {
        let (intake, limits) = (Intake::new(), limits());
        let local = ClientAddress::Known([127, 0, 0, 1].into());
        let places: Vec<_> = (0..3).map(|_| intake.request(local, &limits)).collect();
        assert!(places.iter().all(Result::is_ok));
        assert_eq!(intake.request(local, &limits).unwrap_err(), Full::All);
    }

    #[test]
    fn registrations_are_limited_by_address_and_altogether() {
        let (intake, limits) = (Intake::new(), limits());
        let register = |last| intake.registration(client(last), &limits);
        assert!(register(1).is_ok() && register(1).is_ok());
        let (why, wait) = register(1).unwrap_err();
        assert_eq!(why, Full::Address);
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(30));
        assert!(register(2).is_ok() && register(2).is_ok());
        assert_eq!(register(3).unwrap_err().0, Full::All);
    }
}
