//! How many people sign in with one provider at the same time, and of how many it is asked again: each has places of its own, so that
//! neither takes those of the other, and one address does not take all.

use mcp_gateway_core::http::client_address::CountedAddress;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::fault::ProviderFault;
use crate::limits::per_address::{AddressSlot, ConnectionsPerAddress};

/// The most sign-ins with one provider that are in progress: a slow one does not take the places of all other requests.
const MAX_SIGN_INS: usize = 64;

/// The most of these from one address.
const MAX_SIGN_INS_OF_ADDRESS: usize = 16;

/// The most sign-ins of which the provider is asked again at the same time.
const MAX_QUESTIONS: usize = 64;

/// The places of one provider.
pub(super) struct Places {
    sign_ins: Semaphore,
    of_addresses: ConnectionsPerAddress,
    questions: Semaphore,
}

/// A sign-in in progress. Dropping it makes room for another one.
pub(in crate::authorization_server) struct SignInPlace<'p> {
    _of_all: SemaphorePermit<'p>,
    _of_address: Option<AddressSlot>,
}

/// A question in progress. Dropping it makes room for another one.
pub(in crate::authorization_server) struct QuestionPlace<'p> {
    _of_all: SemaphorePermit<'p>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            sign_ins: Semaphore::new(MAX_SIGN_INS),
            of_addresses: ConnectionsPerAddress::default(),
            questions: Semaphore::new(MAX_QUESTIONS),
        }
    }

    /// A place for a sign-in from this address; none for one that is not counted.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn sign_in(
        &self,
        address: Option<CountedAddress>,
    ) -> Result<SignInPlace<'_>, ProviderFault> {
        let of_address = match address {
            None => None,
            Some(address) => {
                let slot = self
                    .of_addresses
                    .try_acquire(address, MAX_SIGN_INS_OF_ADDRESS);
                let full = || {
                    full(
                        MAX_SIGN_INS_OF_ADDRESS,
                        "sign-ins with it from this address",
                    )
                };
                Some(slot.ok_or_else(full)?)
            }
        };
        let of_all = self.sign_ins.try_acquire();
        Ok(SignInPlace {
            _of_all: of_all.map_err(|_| full(MAX_SIGN_INS, "sign-ins with it"))?,
            _of_address: of_address,
        })
    }

    /// A place for asking again.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn question(&self) -> Result<QuestionPlace<'_>, ProviderFault> {
        let place = self.questions.try_acquire();
        Ok(QuestionPlace {
            _of_all: place.map_err(|_| full(MAX_QUESTIONS, "questions to it"))?,
        })
    }
}

fn full(most: usize, what: &str) -> ProviderFault {
    ProviderFault::Unavailable(format!("{most} {what} are in progress"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<CountedAddress> {
        Some(CountedAddress::of([192, 0, 2, last].into()))
    }

    #[test]
    fn one_address_does_not_take_all_places_and_sign_ins_take_none_of_questions() {
        let places = Places::new();
        let mut held = Vec::new();
        for _ in 0..MAX_SIGN_INS_OF_ADDRESS {
            held.push(places.sign_in(address(1)).ok().unwrap());
        }
        let full = places.sign_in(address(1)).err().unwrap().to_string();
        assert!(
            full.contains("16 sign-ins with it from this address"),
            "{full}"
        );
        while let Ok(place) = places.sign_in(None) {
            held.push(place);
        }
        assert_eq!(held.len(), MAX_SIGN_INS);
        assert!(places.sign_in(address(2)).is_err());
        assert!(places.question().is_ok());
        held.clear();
        assert!(places.sign_in(address(1)).is_ok());
        let asked: Vec<_> = (0..MAX_QUESTIONS).map(|_| places.question()).collect();
        assert!(asked.iter().all(Result::is_ok) && places.question().is_err());
    }
}
