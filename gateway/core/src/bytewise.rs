//! Whether any byte of a value has a property, eight bytes at a time: values of a log line are short, and there are many.
//!
//! A property of a byte is a function of a word of eight bytes that is zero when none of them has it.

/// The lowest bit of each byte.
const LOW: u64 = u64::from_ne_bytes([1; 8]);

/// The highest bit of each byte.
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Whether any byte has the property.
pub fn any(bytes: &[u8], is_so: impl Fn(u64) -> u64) -> bool {
    let of = |word: [u8; 8]| is_so(u64::from_ne_bytes(word));
    // The last eight may have been looked at already; that costs less than one look at each byte that is left.
    if let Some(last) = bytes.last_chunk::<8>() {
        let (words, _) = bytes.as_chunks::<8>();
        return words
            .iter()
            .fold(of(*last), |so_far, word| so_far | of(*word))
            != 0;
    }
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some([a, b, c, d]), Some([w, x, y, z])) => of([*a, *b, *c, *d, *w, *x, *y, *z]) != 0,
        _ => bytes.iter().any(|byte| of([*byte; 8]) != 0),
    }
}

/// The property of being this byte.
pub const fn is(word: u64, byte: u8) -> u64 {
    is_below(word ^ LOW.wrapping_mul(byte as u64), 1)
}

/// The property of being less than this one, which is at most 128.
pub const fn is_below(word: u64, least: u8) -> u64 {
    // A byte that is less borrows from the one above it: only a word that has such a byte can be wrong about another.
    word.wrapping_sub(LOW.wrapping_mul(least as u64)) & !word & HIGH
}

/// The property of being outside of ASCII.
pub const fn is_not_ascii(word: u64) -> u64 {
    word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte, alone at each place of values of each length, among neighbours that are easily taken for it.
    fn assert_same(is_so: impl Fn(u64) -> u64, expected: impl Fn(u8) -> bool) {
        for around in [0, b' ', b'A', 0x7f, 0x80, 0xff] {
            for length in 0..20 {
                let mut bytes = vec![around; length];
                let is_around = length > 0 && expected(around);
                assert_eq!(any(&bytes, &is_so), is_around, "{length} of {around}");
                for at in 0..length {
                    for byte in 0..=255 {
                        bytes[at] = byte;
                        let is_any = expected(byte) || (length > 1 && expected(around));
                        assert_eq!(any(&bytes, &is_so), is_any, "{bytes:?}");
                    }
                    bytes[at] = around;
                }
            }
        }
    }

    #[test]
    fn a_byte_is_found_at_every_place() {
        for byte in [0, b'"', b'J', 0x7f, 0x80, 0xff] {
            assert_same(|word| is(word, byte), |found| found == byte);
        }
    }

    #[test]
    fn a_byte_that_is_less_is_found_at_every_place() {
        for least in [1, b' ', 0x7f, 0x80] {
            assert_same(|word| is_below(word, least), |found| found < least);
        }
    }

    #[test]
    fn properties_are_joined() {
        assert_same(
            |word| is_not_ascii(word) | is(word, b'=') | is_below(word, b'!'),
            |found| found >= 0x80 || found == b'=' || found < b'!',
        );
    }
}
