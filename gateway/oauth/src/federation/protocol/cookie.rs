//! The cookies of sign-ins under way. A browser has a few places for them, so that several tabs can sign in at once and the cookies stay
//! few; at one more, the oldest sign-in is given up. Each is sealed for the browser that it was given to.

use std::time::Duration;

use http::HeaderValue;
use mcp_gateway_core::time::UnixTime;

use super::departure::Departure;
use crate::{
    keys::ServerKeys,
    session::{
        cookie::{self, Browser, Transport},
        interaction::{Interaction, InteractionError, Step},
    },
};

/// Places for sign-ins under way in one browser.
pub const PLACES: usize = 4;

/// The longest value, in bytes: browsers keep 4096 of a cookie with its name and attributes.
pub const MAX_VALUE_BYTES: usize = 3900;

/// Sealed departures of a browser, by place.
pub struct Departures {
    places: [Option<String>; PLACES],
}

/// A departure that was found, and its place.
pub struct Found {
    /// Where it was.
    pub place: usize,
    /// What it is.
    pub interaction: Interaction<Departure>,
}

/// A departure cannot be sealed into a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// The authorization request is too long for a cookie.
    #[error(
        "the authorization request is too long for a sign-in with a provider: its cookie would have more than {MAX_VALUE_BYTES} bytes"
    )]
    TooLong,
    /// It cannot be written.
    #[error("the sign-in cannot be written")]
    Unwritable,
}

impl Departures {
    /// From the `Cookie` fields of a request.
    pub fn parse(fields: &[&[u8]], transport: Transport) -> Self {
        let sealed = |place| cookie::value(fields.iter().copied(), &name(transport, place));
        Self {
            places: std::array::from_fn(|place| sealed(place).map(str::to_owned)),
        }
    }

    /// The departure with this state.
    ///
    /// # Errors
    /// This browser has none, or it took too long.
    pub fn find(
        &self,
        state: &str,
        keys: &ServerKeys,
        browsers: &[Browser],
        (lifetime, now): (Duration, UnixTime),
    ) -> Result<Found, InteractionError> {
        let mut too_old = false;
        for (place, sealed) in self.places.iter().enumerate() {
            let Some(sealed) = sealed else { continue };
            match Interaction::<Departure>::open(
                sealed,
                keys,
                Step::Provider,
                browsers,
                lifetime,
                now,
            ) {
                Ok(interaction) if interaction.request.state == state => {
                    return Ok(Found { place, interaction });
                }
                Err(InteractionError::TooOld) => too_old = true,
                Ok(_) | Err(InteractionError::NotOfThisBrowser) => {}
            }
        }
        Err(match too_old {
            true => InteractionError::TooOld,
            false => InteractionError::NotOfThisBrowser,
        })
    }

    /// A place for one more: one that nothing is in, or else the one whose sign-in began first.
    pub fn place(
        &self,
        keys: &ServerKeys,
        browsers: &[Browser],
        (lifetime, now): (Duration, UnixTime),
    ) -> usize {
        let began = |sealed: &Option<String>| {
            let sealed = sealed.as_deref()?;
            let opened = Interaction::<Departure>::open(
                sealed,
                keys,
                Step::Provider,
                browsers,
                lifetime,
                now,
            );
            opened.ok().map(|interaction| interaction.began)
        };
        let places = self.places.iter().map(began).enumerate();
        let oldest = places.min_by_key(|(_, began)| *began);
        oldest.map_or(0, |(place, _)| place)
    }
}

/// Seals a departure for a browser.
///
/// # Errors
/// [`SealFault`].
pub fn seal(
    interaction: &Interaction<Departure>,
    keys: &ServerKeys,
    browser: &Browser,
) -> Result<String, SealFault> {
    let sealed = interaction.seal(keys, Step::Provider, browser);
    let sealed = sealed.map_err(|_| SealFault::Unwritable)?;
    match sealed.len() {
        0..=MAX_VALUE_BYTES => Ok(sealed),
        _ => Err(SealFault::TooLong),
    }
}

/// The `Set-Cookie` field of a sealed departure.
pub fn set(transport: Transport, place: usize, sealed: &str, lifetime: Duration) -> HeaderValue {
    let seconds = lifetime.as_secs();
    field(transport, place, sealed, &format!("; Max-Age={seconds}"))
}

/// The `Set-Cookie` field that empties a place.
pub fn clear(transport: Transport, place: usize) -> HeaderValue {
    field(transport, place, "", "; Max-Age=0")
}

fn field(transport: Transport, place: usize, value: &str, more: &str) -> HeaderValue {
    let (name, attributes) = (name(transport, place), transport.attributes());
    let field = HeaderValue::try_from(format!("{name}={value}{attributes}{more}"));
    // A name and base64url are always a legal field.
    let mut field = field.unwrap_or_else(|_| HeaderValue::from_static(""));
    field.set_sensitive(true);
    field
}

fn name(transport: Transport, place: usize) -> String {
    let prefix = match transport {
        Transport::Tls => "__Host-",
        Transport::PlainLoopback => "",
    };
    format!("{prefix}mcp-sign-in-{place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::Id,
        session::cookie::{COOKIE_BYTES, Cookie},
    };

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    const LIFETIME: Duration = Duration::from_secs(600);

    fn keys() -> ServerKeys {
        ServerKeys::new(&[[1; 32]]).unwrap()
    }

    fn browser(seed: u8) -> Browser {
        *Cookie::new(&keys(), [seed; COOKIE_BYTES]).browser()
    }

    fn departure(state: &str, began: u64) -> Interaction<Departure> {
        Interaction {
            id: Id::new([1; 16]),
            began: NOW.plus(Duration::from_secs(began)).into(),
            request: Departure {
                provider: "corporate".to_owned(),
                state: state.to_owned(),
                nonce: "n".to_owned(),
                verifier: "v".to_owned(),
                query: "client_id=x".to_owned(),
            },
        }
    }

    fn field_of(place: usize, interaction: &Interaction<Departure>) -> String {
        let sealed = seal(interaction, &keys(), &browser(1)).unwrap();
        let set = set(Transport::Tls, place, &sealed, LIFETIME);
        let set = set.to_str().unwrap();
        assert!(set.contains("Secure") && set.contains("Max-Age=600"));
        set.split(';').next().unwrap().to_owned()
    }

    fn departures(field: &str) -> Departures {
        Departures::parse(&[field.as_bytes()], Transport::Tls)
    }

    #[test]
    fn only_the_browser_that_left_has_the_departure_and_only_for_a_while() {
        let field = [
            field_of(0, &departure("a", 0)),
            "other=1".to_owned(),
            field_of(2, &departure("b", 1)),
        ];
        let found = departures(&field.join("; "));
        let at = |seconds| (LIFETIME, NOW.plus(Duration::from_secs(seconds)));
        let find = |state: &str, seed, seconds| {
            let found = found.find(state, &keys(), &[browser(seed)], at(seconds));
            found.map(|found| (found.place, found.interaction.request.state))
        };
        assert_eq!(find("a", 1, 0), Ok((0, "a".to_owned())));
        assert_eq!(find("b", 1, 599), Ok((2, "b".to_owned())));
        assert_eq!(find("a", 1, 600), Err(InteractionError::TooOld));
        assert_eq!(find("c", 1, 0), Err(InteractionError::NotOfThisBrowser));
        assert_eq!(find("", 1, 0), Err(InteractionError::NotOfThisBrowser));
        assert_eq!(find("a", 2, 0), Err(InteractionError::NotOfThisBrowser));
        let other_keys = ServerKeys::new(&[[2; 32]]).unwrap();
        assert!(found.find("a", &other_keys, &[browser(1)], at(0)).is_err());
    }

    #[test]
    fn a_new_departure_takes_an_empty_place_or_that_of_the_oldest() {
        let place = |field: &str| departures(field).place(&keys(), &[browser(1)], (LIFETIME, NOW));
        assert_eq!(place(""), 0);
        let mut field = field_of(0, &departure("a", 3));
        assert_eq!(place(&field), 1);
        for (number, began) in [(1, 1), (2, 0), (3, 2)] {
            field = format!("{field}; {}", field_of(number, &departure("x", began)));
        }
        assert_eq!(place(&field), 2);
        // One that cannot be opened any more is as good as none.
        let broken = field.replace("mcp-sign-in-3=", "mcp-sign-in-3=A");
        assert_eq!(place(&broken), 3);
    }

    #[test]
    fn a_departure_that_no_cookie_holds_is_refused() {
        let mut long = departure("a", 0);
        long.request.query = "x".repeat(MAX_VALUE_BYTES);
        assert_eq!(seal(&long, &keys(), &browser(1)), Err(SealFault::TooLong));
        assert!(
            clear(Transport::PlainLoopback, 1)
                .to_str()
                .unwrap()
                .starts_with("mcp-sign-in-1=;")
        );
    }
}
