//! The protocol versions that a resource lists (`protocol_versions`), and how a request with another version is refused.
//!
//! Without a list the upstream decides. With one, the request is refused before it is forwarded, and the error depends on the
//! list. If the list has a modern revision, the resource is a modern server, and the error names the supported versions (MCP
//! 2026-07-28, *Protocol Version Negotiation*). If not, it is a legacy server, which must not answer with an error of the modern
//! era: a client of both eras would take it for a modern server and not fall back to `initialize` (MCP 2026-07-28, Streamable
//! HTTP, *Backward Compatibility*).

use super::version::{Era, LEGACY};
use crate::refusal::reason::Reason;

/// The version of a request without a version header (MCP 2025-11-25, transports).
const WITHOUT_HEADER: &str = "2025-03-26";

/// The revisions without an `MCP-Protocol-Version` header: their clients send none.
const HEADERLESS: &[&str] = &["2024-10-07", "2024-11-05", WITHOUT_HEADER];

/// The first revision of the modern era.
pub const FIRST_MODERN: &str = "2026-07-28";

/// The most characters of a refused version that the error repeats.
const MAX_REQUESTED: usize = 64;

/// Whether this names a known revision, or a possible later one: any date since the first modern revision.
pub fn is_revision(version: &str) -> bool {
    LEGACY.contains(&version) || (is_date(version) && version >= FIRST_MODERN)
}

/// The kind of a request, as far as versions are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// `initialize` of any era, with the version it proposes. The upstream's answer decides on the version.
    Opening(Option<&'a str>),
    /// Any other message.
    Message,
    /// GET or DELETE: they have no message and do not exist in the modern era.
    Bodiless,
}

/// Why a request is refused for its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The reason.
    pub reason: Reason,
    /// The version it requested, truncated for the error.
    pub requested: String,
}

/// The protocol versions that a resource lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supported {
    versions: Vec<String>,
    has_legacy: bool,
    has_modern: bool,
    has_headerless: bool,
}

impl Supported {
    /// From the listed versions, at least one.
    pub fn new(versions: Vec<String>) -> Self {
        let any = |is: fn(&str) -> bool| versions.iter().any(|version| is(version));
        Self {
            has_legacy: any(is_legacy),
            has_modern: any(|version| !is_legacy(version)),
            has_headerless: any(|version| HEADERLESS.contains(&version)),
            versions,
        }
    }

    /// The versions, in the order they were listed.
    pub fn versions(&self) -> &[String] {
        &self.versions
    }

    /// Whether a legacy session can begin.
    pub const fn has_legacy(&self) -> bool {
        self.has_legacy
    }

    /// Checks the version of a request of this era: the one in `_meta`, or else in the header.
    ///
    /// A request without a version is allowed if the list has a revision whose clients send none. `initialize` is allowed if the
    /// list has a legacy version.
    ///
    /// # Errors
    /// [`Unsupported`], with [`Reason::MethodNotAllowed`] for GET and DELETE if only modern versions are listed.
    pub fn judge(
        &self,
        era: Era,
        version: Option<&str>,
        asked: Asked<'_>,
    ) -> Result<(), Unsupported> {
        let is_listed = match (asked, version) {
            (Asked::Opening(_), _) if era == Era::Legacy => self.has_legacy,
            // Modern revisions have no sessions. A server that has them too would open one.
            (Asked::Opening(_), _) if !self.has_legacy => false,
            (Asked::Bodiless, _) if !self.has_legacy => {
                return Err(unsupported(Reason::MethodNotAllowed, version));
            }
            (_, Some(version)) => self.versions.iter().any(|listed| listed == version),
            (_, None) => self.has_headerless,
        };
        if is_listed {
            return Ok(());
        }
        let proposed = match asked {
            Asked::Opening(proposed) => proposed,
            Asked::Message | Asked::Bodiless => None,
        };
        let reason = match self.has_modern {
            true => Reason::UnsupportedVersion,
            false => Reason::LegacyOnly,
        };
        Err(unsupported(reason, proposed.or(version)))
    }
}

fn unsupported(reason: Reason, version: Option<&str>) -> Unsupported {
    let requested = version.unwrap_or(WITHOUT_HEADER);
    Unsupported {
        reason,
        requested: requested.chars().take(MAX_REQUESTED).collect(),
    }
}

fn is_legacy(version: &str) -> bool {
    LEGACY.contains(&version)
}

fn is_date(version: &str) -> bool {
    let parts: Vec<&str> = version.split('-').collect();
    let digits =
        |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_digit());
    let within = |part: &str, most| (1..=most).contains(&part.parse().unwrap_or(0));
    match parts.as_slice() {
        [year, month, day] => {
            digits(year, 4)
                && digits(month, 2)
                && digits(day, 2)
                && within(month, 12)
                && within(day, 31)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODERN: &str = "2026-07-28";
    const LATEST_LEGACY: &str = "2025-11-25";

    fn listing(versions: &[&str]) -> Supported {
        Supported::new(
            versions
                .iter()
                .map(|version| (*version).to_owned())
                .collect(),
        )
    }

    fn judged(
        listed: &[&str],
        era: Era,
        version: Option<&str>,
        asked: Asked<'_>,
    ) -> Result<(), (Reason, String)> {
        listing(listed)
            .judge(era, version, asked)
            .map_err(|refused| (refused.reason, refused.requested))
    }

    fn refused(reason: Reason, requested: &str) -> Result<(), (Reason, String)> {
        Err((reason, requested.to_owned()))
    }

    #[test]
    fn no_form_of_initialize_is_allowed_without_a_legacy_version() {
        for proposed in [Some(MODERN), Some(LATEST_LEGACY), None] {
            for (era, version) in [(Era::Modern, Some(MODERN)), (Era::Legacy, None)] {
                let asked = Asked::Opening(proposed);
                let outcome = judged(&[MODERN], era, version, asked);
                assert!(outcome.is_err(), "{era:?} {proposed:?}");
            }
        }
        let both = [LATEST_LEGACY, MODERN];
        let asked = Asked::Opening(Some(MODERN));
        assert_eq!(judged(&both, Era::Modern, Some(MODERN), asked), Ok(()));
    }

    #[test]
    fn a_modern_request_is_allowed_only_with_a_listed_version() {
        let both = [LATEST_LEGACY, MODERN];
        for asked in [Asked::Message, Asked::Bodiless] {
            assert_eq!(judged(&both, Era::Modern, Some(MODERN), asked), Ok(()));
            assert_eq!(
                judged(&both, Era::Modern, Some("2027-01-01"), asked),
                refused(Reason::UnsupportedVersion, "2027-01-01")
            );
        }
        // A version in `_meta` makes the message modern, and a legacy version is not served in the modern era.
        assert_eq!(
            judged(&[MODERN], Era::Modern, Some("2025-06-18"), Asked::Message),
            refused(Reason::UnsupportedVersion, "2025-06-18")
        );
    }

    #[test]
    fn a_resource_with_only_legacy_versions_refuses_with_a_legacy_error() {
        for (era, version) in [(Era::Modern, MODERN), (Era::Legacy, "2024-11-05")] {
            assert_eq!(
                judged(&[LATEST_LEGACY], era, Some(version), Asked::Message),
                refused(Reason::LegacyOnly, version)
            );
        }
    }

    #[test]
    fn a_legacy_request_is_allowed_only_with_a_listed_version() {
        let both = [LATEST_LEGACY, MODERN];
        for asked in [Asked::Message, Asked::Bodiless] {
            assert_eq!(
                judged(&both, Era::Legacy, Some(LATEST_LEGACY), asked),
                Ok(())
            );
            assert_eq!(
                judged(&both, Era::Legacy, Some("2025-06-18"), asked),
                refused(Reason::UnsupportedVersion, "2025-06-18")
            );
        }
    }

    #[test]
    fn a_request_without_a_version_requires_a_listed_revision_without_the_header() {
        for asked in [Asked::Message, Asked::Bodiless] {
            for listed in ["2024-10-07", "2024-11-05", "2025-03-26"] {
                assert_eq!(
                    judged(&[listed], Era::Legacy, None, asked),
                    Ok(()),
                    "{listed}"
                );
            }
            for listed in ["2025-06-18", LATEST_LEGACY] {
                assert_eq!(
                    judged(&[listed], Era::Legacy, None, asked),
                    refused(Reason::LegacyOnly, "2025-03-26"),
                    "{listed}"
                );
            }
        }
        assert_eq!(
            judged(&[MODERN], Era::Legacy, None, Asked::Message),
            refused(Reason::UnsupportedVersion, "2025-03-26")
        );
    }

    #[test]
    fn initialize_is_allowed_if_a_legacy_version_is_listed() {
        let opening = |listed: &[&str], header, proposed| {
            judged(listed, Era::Legacy, header, Asked::Opening(proposed))
        };
        for listed in [&[LATEST_LEGACY][..], &[LATEST_LEGACY, MODERN]] {
            assert_eq!(opening(listed, None, Some("2024-11-05")), Ok(()));
            assert_eq!(opening(listed, Some("2025-06-18"), None), Ok(()));
        }
        for (header, proposed, requested) in [
            (None, Some("2025-11-25"), "2025-11-25"),
            (Some("2025-06-18"), Some("2025-11-25"), "2025-11-25"),
            (Some("2025-06-18"), None, "2025-06-18"),
            (None, None, "2025-03-26"),
        ] {
            assert_eq!(
                opening(&[MODERN], header, proposed),
                refused(Reason::UnsupportedVersion, requested)
            );
        }
    }

    #[test]
    fn get_and_delete_are_refused_if_only_modern_versions_are_listed() {
        for (era, version) in [(Era::Legacy, None), (Era::Modern, Some(MODERN))] {
            let judged = judged(&[MODERN], era, version, Asked::Bodiless);
            assert_eq!(
                judged.unwrap_err().0,
                Reason::MethodNotAllowed,
                "{version:?}"
            );
        }
    }

    #[test]
    fn the_requested_version_in_the_error_is_truncated() {
        let long = "ü".repeat(1000);
        let judged = judged(&[MODERN], Era::Modern, Some(&long), Asked::Message);
        assert_eq!(judged.unwrap_err().1, "ü".repeat(MAX_REQUESTED));
    }

    #[test]
    fn a_revision_is_known_or_a_date_since_the_first_modern_one() {
        for version in LEGACY.iter().chain(&[MODERN, "2026-11-30", "2031-01-01"]) {
            assert!(is_revision(version), "{version}");
        }
        for version in [
            "",
            "1.0",
            "2025-11-24",
            "2026-07-27",
            "2026-7-28",
            "2026-13-01",
            "2026-00-01",
            "2026-08-32",
            "2026-08-00",
            "2026-08",
            "2026-08-01-01",
            "2026-08-01 ",
            "+026-08-01",
            "DRAFT-2026-v1",
            "latest",
        ] {
            assert!(!is_revision(version), "{version}");
        }
    }
}
