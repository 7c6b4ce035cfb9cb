//! Bytes of bodies in memory, counted over all requests (`limits.bodies_bytes`).
//!
//! A body is read completely before its request is decided; a client may take a minute to send it, and an upstream as long
//! to receive it. An answer that is edited is read completely as well, or event by event in a stream. So all bodies together
//! have a limit: a request beyond it is refused, and the client may retry later. Within that limit, each subject has a share
//! (`limits.bodies_bytes_per_principal`), so that one cannot stop all others by uploads that it never finishes. No byte of a body
//! for an upstream is read before the caller is known. A body that does not arrive at once, or whose caller cannot be known, also counts for its client's address
//! (`limits.bodies_bytes_per_address`): a client may have several subjects. No address is exempt.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use mcp_gateway_core::refusal::reason::Reason;

use super::accounts::{AddressAccount, SubjectAccount};
use crate::config::Limits;

/// Default limit of all bodies together, in bytes, unless memory is small: 32 of the largest bodies.
const DEFAULT_BYTES: usize = 128 * 1024 * 1024;

/// The default share of the memory that bodies may take, as a divisor. A body that grows may be in memory twice.
const MEMORY_DIVISOR: usize = 8;

/// The default share of all bodies that one subject may take, as a divisor.
const SUBJECT_DIVISOR: usize = 4;

/// The default share of all bodies that one address may take, as a divisor: several callers may have it.
const ADDRESS_DIVISOR: usize = 2;

/// The most bytes that bodies may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimits {
    /// All together.
    pub(crate) all: usize,
    /// Those of one subject.
    pub(crate) of_subject: usize,
    /// Those of one client address.
    pub(crate) of_address: usize,
}

impl BodyLimits {
    /// The configured limits, or a part of `memory`. One body of the largest size is always allowed.
    pub(crate) fn of(limits: &Limits, memory: Option<usize>) -> Self {
        let all = limits.bodies_bytes.unwrap_or_else(|| {
            memory.map_or(DEFAULT_BYTES, |memory| {
                DEFAULT_BYTES.min(memory / MEMORY_DIVISOR)
            })
        });
        let share = |configured: Option<usize>, divisor: usize| {
            configured.unwrap_or_else(|| (all / divisor).max(limits.body_bytes))
        };
        Self {
            all,
            of_subject: share(limits.bodies_bytes_per_principal, SUBJECT_DIVISOR),
            of_address: share(limits.bodies_bytes_per_address, ADDRESS_DIVISOR),
        }
    }
}

impl BodyLimits {
    /// The limit that a body reached, for the operator.
    pub(crate) fn reached(&self, reason: Reason) -> Option<String> {
        let (whose, most, key) = match reason {
            Reason::BodiesTooLarge => ("all bodies", self.all, "bodies_bytes"),
            Reason::PrincipalBodiesTooLarge => (
                "the bodies of the caller",
                self.of_subject,
                "bodies_bytes_per_principal",
            ),
            Reason::AddressBodiesTooLarge => (
                "the bodies of the address",
                self.of_address,
                "bodies_bytes_per_address",
            ),
            _ => return None,
        };
        Some(format!("{whose}: more than {most} bytes (limits.{key})"))
    }
}

#[cfg(test)]
impl BodyLimits {
    /// This limit for all bodies, without shares of subjects and addresses.
    pub(crate) const fn without_shares(all: usize) -> Self {
        Self {
            all,
            of_subject: usize::MAX,
            of_address: usize::MAX,
        }
    }
}

/// The bytes of all bodies in memory.
#[derive(Debug, Default)]
pub(crate) struct BodyBudget(AtomicUsize);

impl BodyBudget {
    /// An empty reservation, for one body of this subject.
    pub(crate) fn reservation(
        self: &Arc<Self>,
        subject: Option<Arc<SubjectAccount>>,
    ) -> BodyReservation {
        BodyReservation {
            budget: self.clone(),
            subject,
            address: None,
            bytes: 0,
        }
    }

    /// The bytes of all bodies in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The bytes of one body; dropping it releases them.
#[derive(Debug)]
pub(crate) struct BodyReservation {
    budget: Arc<BodyBudget>,
    /// Whose share they are; none before the caller is known.
    subject: Option<Arc<SubjectAccount>>,
    /// The address that sends the body, if it does not arrive at once.
    address: Option<Arc<AddressAccount>>,
    bytes: usize,
}

impl BodyReservation {
    /// Counts this body, so far and from now on, for the address that sends it.
    ///
    /// # Errors
    /// [`Reason::AddressBodiesTooLarge`] where the bodies of this address would take more than its share.
    pub(crate) fn count_for(
        &mut self,
        address: Arc<AddressAccount>,
        limits: &BodyLimits,
    ) -> Result<(), Reason> {
        let is_within = add(&address.body_bytes, self.bytes, limits.of_address);
        self.address = Some(address);
        is_within.then_some(()).ok_or(Reason::AddressBodiesTooLarge)
    }

    /// Reserves more bytes for this body. Refused bytes count until the reservation is dropped.
    ///
    /// # Errors
    /// [`Reason::PrincipalBodiesTooLarge`] and [`Reason::AddressBodiesTooLarge`] beyond the share of this subject or address,
    /// [`Reason::BodiesTooLarge`] where all bodies together would take more than their limit.
    pub(crate) fn grow(&mut self, bytes: usize, limits: &BodyLimits) -> Result<(), Reason> {
        self.bytes += bytes;
        let (subject, address) = (self.subject.as_ref(), self.address.as_ref());
        let own = subject.is_none_or(|own| add(&own.body_bytes, bytes, limits.of_subject));
        let from = address.is_none_or(|from| add(&from.body_bytes, bytes, limits.of_address));
        match (own, from, add(&self.budget.0, bytes, limits.all)) {
            (false, ..) => Err(Reason::PrincipalBodiesTooLarge),
            (_, false, _) => Err(Reason::AddressBodiesTooLarge),
            (.., false) => Err(Reason::BodiesTooLarge),
            _ => Ok(()),
        }
    }

    /// Sets the reservation to this number of bytes.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub(crate) fn resize(&mut self, bytes: usize, limits: &BodyLimits) -> Result<(), Reason> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes, limits);
        }
        self.release(self.bytes - bytes);
        self.bytes = bytes;
        Ok(())
    }

    /// Ties the reservation to the whole body: it counts until the last part is dropped.
    pub(crate) fn attach_to(self, body: Bytes) -> Bytes {
        Bytes::from_owner(ReservedBody {
            body,
            _reservation: self,
        })
    }

    fn release(&self, bytes: usize) {
        let subject = self.subject.as_ref().map(|own| &own.body_bytes);
        let address = self.address.as_ref().map(|from| &from.body_bytes);
        for count in [subject, address, Some(&self.budget.0)]
            .into_iter()
            .flatten()
        {
            count.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Adds to a count. Whether it is still within the limit.
fn add(count: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    let before = count.fetch_add(bytes, Ordering::Relaxed);
    before.saturating_add(bytes) <= limit
}

struct ReservedBody {
    body: Bytes,
    _reservation: BodyReservation,
}

impl AsRef<[u8]> for ReservedBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::http::client_address::ClientAddress;

    use super::*;
    use crate::limits::accounts::Accounts;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    const fn only(all: usize) -> BodyLimits {
        BodyLimits::without_shares(all)
    }

    #[test]
    fn all_bodies_share_one_limit_and_release_their_bytes() {
        let budget = Arc::new(BodyBudget::default());
        let limits = &only(100);
        let (mut one, mut other) = (budget.reservation(None), budget.reservation(None));
        assert_eq!(one.grow(60, limits), Ok(()));
        assert_eq!(other.grow(40, limits), Ok(()));
        assert_eq!(other.grow(1, limits), Err(Reason::BodiesTooLarge));
        drop(other);
        assert_eq!(one.grow(40, limits), Ok(()));
        drop(one);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_subject_takes_its_share_and_leaves_the_rest_to_others() {
        let (accounts, budget) = (Arc::<Accounts<_>>::default(), Arc::<BodyBudget>::default());
        let limits = &BodyLimits {
            of_subject: 60,
            ..only(100)
        };
        let of =
            |subject: &str| budget.reservation(Some(accounts.of(("i".into(), subject.into()))));
        let (mut one, mut same, mut other) = (of("a"), of("a"), of("b"));
        assert_eq!(one.grow(40, limits), Ok(()));
        assert_eq!(same.grow(20, limits), Ok(()));
        assert_eq!(same.grow(1, limits), Err(Reason::PrincipalBodiesTooLarge));
        drop(same);
        assert_eq!(other.grow(60, limits), Ok(()));
        assert_eq!(one.grow(1, limits), Err(Reason::BodiesTooLarge));
        assert_eq!(one.resize(60, limits), Err(Reason::BodiesTooLarge));
        drop(other);
        assert_eq!(one.resize(10, limits), Ok(()));
        assert_eq!(one.resize(60, limits), Ok(()));
        drop(one);
        assert_eq!(of("a").grow(60, limits), Ok(()));
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn all_callers_of_an_address_have_one_share() {
        let (accounts, budget) = (Arc::<Accounts<_>>::default(), Arc::<BodyBudget>::default());
        let limits = &BodyLimits {
            of_address: 60,
            ..only(100)
        };
        let peer = "192.0.2.1".parse().unwrap();
        let address = |client: ClientAddress| accounts.of(client.counted());
        let (mut one, mut other) = (budget.reservation(None), budget.reservation(None));
        assert_eq!(one.grow(50, limits), Ok(()));
        assert_eq!(
            one.count_for(address(ClientAddress::Known(peer)), limits),
            Ok(())
        );
        assert_eq!(other.grow(11, limits), Ok(()));
        let refused = other.count_for(address(ClientAddress::Known(peer)), limits);
        assert_eq!(refused, Err(Reason::AddressBodiesTooLarge));
        assert_eq!(one.grow(1, limits), Err(Reason::AddressBodiesTooLarge));
        drop((one, other));
        let mut unknown = budget.reservation(None);
        assert_eq!(unknown.grow(60, limits), Ok(()));
        assert_eq!(
            unknown.count_for(address(ClientAddress::Unknown { peer }), limits),
            Ok(())
        );
        assert_eq!(unknown.grow(1, limits), Err(Reason::AddressBodiesTooLarge));
        drop(unknown);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_body_may_shrink() {
        let budget = Arc::new(BodyBudget::default());
        let limits = &only(100);
        let mut reservation = budget.reservation(None);
        for (bytes, taken) in [(60, 60), (20, 20), (20, 20), (100, 100), (0, 0)] {
            assert_eq!(reservation.resize(bytes, limits), Ok(()));
            assert_eq!(budget.bytes(), taken);
        }
        assert_eq!(reservation.resize(101, limits), Err(Reason::BodiesTooLarge));
        drop(reservation);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_whole_body_counts_until_its_last_holder_drops_it() {
        let budget = Arc::new(BodyBudget::default());
        let mut reservation = budget.reservation(None);
        assert_eq!(reservation.grow(4, &only(100)), Ok(()));
        let body = reservation.attach_to(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert_eq!((&*part, budget.bytes()), (&b"o"[..], 4));
        drop(part);
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn the_limit_that_was_reached_is_named_with_its_value() {
        let limits = BodyLimits {
            all: 3,
            of_subject: 2,
            of_address: 1,
        };
        for (reason, text) in [
            (
                Reason::BodiesTooLarge,
                Some("all bodies: more than 3 bytes (limits.bodies_bytes)"),
            ),
            (
                Reason::PrincipalBodiesTooLarge,
                Some(
                    "the bodies of the caller: more than 2 bytes (limits.bodies_bytes_per_principal)",
                ),
            ),
            (
                Reason::AddressBodiesTooLarge,
                Some(
                    "the bodies of the address: more than 1 bytes (limits.bodies_bytes_per_address)",
                ),
            ),
            (Reason::BodyTooLarge, None),
        ] {
            assert_eq!(limits.reached(reason).as_deref(), text);
        }
    }

    #[test]
    fn the_limits_are_the_configured_ones_or_shares() {
        let configured = Limits {
            bodies_bytes: Some(5 * MIB),
            bodies_bytes_per_principal: Some(4 * MIB),
            bodies_bytes_per_address: Some(3 * MIB),
            ..Limits::default()
        };
        let small_bodies = Limits {
            body_bytes: KIB,
            ..Limits::default()
        };
        for (limits, memory, expected) in [
            (configured, Some(1 << 30), [5 * MIB, 4 * MIB, 3 * MIB]),
            (Limits::default(), None, [128 * MIB, 32 * MIB, 64 * MIB]),
            (
                Limits::default(),
                Some(1 << 40),
                [128 * MIB, 32 * MIB, 64 * MIB],
            ),
            (
                Limits::default(),
                Some(256 * MIB),
                [32 * MIB, 8 * MIB, 16 * MIB],
            ),
            (
                Limits::default(),
                Some(64 * MIB),
                [8 * MIB, 4 * MIB, 4 * MIB],
            ),
            (small_bodies, Some(64 * MIB), [8 * MIB, 2 * MIB, 4 * MIB]),
        ] {
            let found = BodyLimits::of(&limits, memory);
            assert_eq!([found.all, found.of_subject, found.of_address], expected);
        }
    }
}
