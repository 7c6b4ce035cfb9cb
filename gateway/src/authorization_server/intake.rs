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

use super::settings::Settings;
use crate::limits::per_address::{AddressSlot, ConnectionsPerAddress};

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
    pub(super) fn request(
        &self,
        client: ClientAddress,
        settings: &Settings,
    ) -> Result<Place, Full> {
        let limits = &settings.limits;
        let address = match settings.addresses.counted(client) {
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
        settings: &Settings,
    ) -> Result<(), (Full, Duration)> {
        let now = self.started.elapsed();
        let pace = &settings.registration_pace;
        let rate = Rate::new(pace.per_minute, MINUTE, pace.per_minute);
        let mut taken = self
            .registrations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let address = settings.addresses.counted(client);
        let per_address = pace.per_address_per_minute;
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

    /// The time since the start, on a clock that only goes forward.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
