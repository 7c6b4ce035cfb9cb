//! The text of an API key: `mgw_`, 30 random characters, 6 characters of a checksum.
//!
//! The prefix shows what it is, to people, to scanners of sources and to the gateway, which sends no such token to anybody. The
//! checksum refuses a typing error and a shortened copy before the key is looked up. It is no proof: everybody can compute it.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// What every API key begins with.
pub const PREFIX: &str = "mgw_";

/// Random characters after the prefix: 30 of 62 have 178 bits.
pub const RANDOM: usize = 30;

/// Characters of the checksum: the fewest that every CRC-32 fits into.
pub const CHECKSUM: usize = 6;

/// Characters of a key.
pub const LENGTH: usize = PREFIX.len() + RANDOM + CHECKSUM;

/// The digits of base 62, in their order.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The largest multiple of 62 in a byte. A random byte from here on is left out, because the first digits would be more frequent.
const UNBIASED: u8 = 248;

/// The SHA-256 of a key. A key has more random bits than anybody can try, so a slow hash would only make requests slow.
pub type KeyDigest = [u8; 32];

/// A text that has the form and the checksum of an API key. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiKey<'a>(&'a str);

/// Why a text with the prefix is no API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It has another number of characters than a key.
    Length(usize),
    /// A character is no digit of base 62.
    Character,
    /// The checksum is that of another key.
    Checksum,
}

/// Whether a token claims to be an API key.
pub fn is_api_key(token: &str) -> bool {
    token.starts_with(PREFIX)
}

impl<'a> ApiKey<'a> {
    /// Reads a token that [`is_api_key`].
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn parse(token: &'a str) -> Result<Self, KeyFault> {
        let rest = token.strip_prefix(PREFIX).unwrap_or_default();
        if token.len() != LENGTH {
            return Err(KeyFault::Length(token.chars().count()));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(KeyFault::Character);
        }
        let (random, checksum) = rest.split_at_checked(RANDOM).unwrap_or_default();
        match checksum.bytes().eq(checksum_of(random)) {
            true => Ok(Self(token)),
            false => Err(KeyFault::Checksum),
        }
    }

    /// The digest by which the key file names it.
    pub fn digest(&self) -> KeyDigest {
        let digest = digest(&SHA256, self.0.as_bytes());
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

impl fmt::Debug for ApiKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

/// The text of a new key from random bytes; none where too few of them can be used. Each byte is used with a chance of 248 in 256.
pub fn new_key(random: &[u8]) -> Option<String> {
    let usable = random.iter().filter(|byte| **byte < UNBIASED);
    let random: String = usable.take(RANDOM).map(|byte| digit(*byte)).collect();
    if random.len() < RANDOM {
        return None;
    }
    let checksum: String = checksum_of(&random).into_iter().map(char::from).collect();
    Some(format!("{PREFIX}{random}{checksum}"))
}

/// The CRC-32 of the random characters in base 62, with zeros before it.
fn checksum_of(random: &str) -> [u8; CHECKSUM] {
    let mut left = crc32(random.as_bytes());
    let mut checksum = [b'0'; CHECKSUM];
    for place in checksum.iter_mut().rev() {
        let [.., last] = (left % 62).to_be_bytes();
        *place = byte_of(last);
        left /= 62;
    }
    checksum
}

fn digit(byte: u8) -> char {
    char::from(byte_of(byte))
}

fn byte_of(number: u8) -> u8 {
    let place = usize::from(number % 62);
    DIGITS.get(place).copied().unwrap_or(b'0')
}

/// The checksum of Ethernet, gzip and PNG (ISO 3309), which the tokens of others have too.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
    let fold = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(u32::MAX, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of which everybody knows the random characters.
    const KEY: &str = "mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp";

    #[test]
    fn the_checksum_is_the_common_one() {
        // The check value of CRC-32 (ISO 3309), and two more that other programs compute so.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"a"), 0xe8b7_be43);
    }

    #[test]
    fn a_new_key_is_read_again_and_has_the_published_form() {
        let random: Vec<u8> = (0..=255).rev().collect();
        let key = new_key(&random).unwrap();
        assert_eq!(key.len(), LENGTH);
        assert!(is_api_key(&key));
        assert!(key[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        ApiKey::parse(&key).unwrap();
        // The bytes from 248 on were left out: 247 is 61 modulo 62, the last digit.
        assert!(key.starts_with("mgw_zyxw"), "{key}");
    }

    #[test]
    fn too_few_random_bytes_give_no_key() {
        assert_eq!(new_key(&[1; RANDOM - 1]), None);
        assert_eq!(new_key(&[UNBIASED; 4 * RANDOM]), None);
        assert!(new_key(&[1; RANDOM]).is_some());
    }

    #[test]
    fn every_digit_is_equally_frequent() {
        let mut counts = [0; 62];
        for byte in 0..UNBIASED {
            let at = DIGITS.iter().position(|digit| *digit == byte_of(byte));
            counts[at.unwrap()] += 1;
        }
        assert_eq!(counts, [4; 62]);
    }

    #[test]
    fn a_known_key_has_a_known_checksum_and_digest() {
        let random: Vec<u8> = (0..30).collect();
        assert_eq!(new_key(&random).as_deref(), Some(KEY));
        let digest = ApiKey::parse(KEY).unwrap().digest();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, DIGEST);
    }

    /// What `printf %s KEY | sha256sum` prints.
    const DIGEST: &str = "5d142d1b52e064700dbc3b9439c37334ceafe247e7ec7fe61ab235cf8d1f7a88";

    #[test]
    fn each_changed_character_is_noticed() {
        for at in PREFIX.len()..LENGTH {
            for other in DIGITS {
                let mut changed = KEY.as_bytes().to_vec();
                if changed[at] == *other {
                    continue;
                }
                changed[at] = *other;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(
                    ApiKey::parse(&changed),
                    Err(KeyFault::Checksum),
                    "{changed}"
                );
            }
        }
    }

    #[test]
    fn two_exchanged_neighbours_are_noticed() {
        for at in PREFIX.len()..LENGTH - 1 {
            let mut changed = KEY.as_bytes().to_vec();
            changed.swap(at, at + 1);
            let changed = String::from_utf8(changed).unwrap();
            if changed != KEY {
                assert_eq!(
                    ApiKey::parse(&changed),
                    Err(KeyFault::Checksum),
                    "{changed}"
                );
            }
        }
    }

    #[test]
    fn another_length_or_alphabet_is_no_key() {
        let longer = format!("{KEY}0");
        let wide = format!("{}ä", &KEY[..LENGTH - 2]);
        for (text, fault) in [
            (&KEY[..LENGTH - 1], KeyFault::Length(LENGTH - 1)),
            (&longer, KeyFault::Length(LENGTH + 1)),
            ("mgw_", KeyFault::Length(4)),
            (&wide, KeyFault::Character),
            (&KEY.replace('0', "-"), KeyFault::Character),
            (&KEY.replace('0', "="), KeyFault::Character),
            (&KEY.replace('0', " "), KeyFault::Character),
        ] {
            assert!(is_api_key(text), "{text}");
            assert_eq!(ApiKey::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn only_the_exact_prefix_makes_an_api_key() {
        for text in [
            "MGW_a",
            "mgw-a",
            "mgw",
            "",
            "xmgw_",
            "eyJhbGciOiJSUzI1NiJ9.e30.a",
        ] {
            assert!(!is_api_key(text), "{text}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = ApiKey::parse(KEY).unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey([redacted])");
    }
}
