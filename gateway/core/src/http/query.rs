//! The query of a request to the upstream: that of the configured URL, and the client's where the resource passes it.

use crate::refusal::reason::Reason;

/// What a resource does with the client's query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientQuery {
    /// It is not forwarded.
    Drop,
    /// It is forwarded as it was sent.
    Pass,
}

/// The operator's query, then the client's.
///
/// # Errors
/// [`Reason::AmbiguousQuery`] where both have a parameter of one name: which of them a server uses cannot be known.
pub fn combined(own: Option<&str>, client: Option<&str>) -> Result<Option<String>, Reason> {
    let (own, client) = match (own, client) {
        (own, None) => return Ok(own.map(str::to_owned)),
        (None, client) => return Ok(client.map(str::to_owned)),
        (Some(own), Some(client)) => (own, client),
    };
    match repeated(own, client) {
        Some(_) => Err(Reason::AmbiguousQuery),
        None => Ok(Some(format!("{own}&{client}"))),
    }
}

/// The name of a parameter that both queries have.
pub(crate) fn repeated(own: &str, client: &str) -> Option<Vec<u8>> {
    let taken: Vec<_> = names(own).collect();
    names(client).find(|name| taken.contains(name))
}

/// The names of the parameters as servers may compare them: decoded, without regard to case, `a[]` and `a[b]` as `a`, dots and
/// spaces as underscores (PHP).
fn names(query: &str) -> impl Iterator<Item = Vec<u8>> {
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let mut name = decoded(name);
        name.make_ascii_lowercase();
        let end = name.iter().position(|byte| matches!(byte, b'[' | 0));
        name.truncate(end.unwrap_or(name.len()));
        let mut name = name.trim_ascii().to_vec();
        let as_underscores = name.iter_mut().filter(|byte| matches!(byte, b'.' | b' '));
        as_underscores.for_each(|byte| *byte = b'_');
        name
    })
}

/// Percent-decoded, a plus as a space. What is not an escape stays.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escape = after
            .split_first_chunk::<2>()
            .filter(|_| *first == b'%')
            .and_then(|(digits, behind)| Some((hexadecimal(*digits)?, behind)));
        match escape {
            Some((byte, behind)) => {
                bytes.push(byte);
                rest = behind;
            }
            None if *first == b'+' => bytes.push(b' '),
            None => bytes.push(*first),
        }
    }
    bytes
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_query_comes_first() {
        let cases = [
            (None, None, None),
            (Some("a=1"), None, Some("a=1")),
            (None, Some("b=2"), Some("b=2")),
            (None, Some(""), Some("")),
            (Some("a=1"), Some("b=2&c"), Some("a=1&b=2&c")),
            (Some("a=1"), Some("ab=2"), Some("a=1&ab=2")),
            (Some("a=1"), Some("b=a=2"), Some("a=1&b=a=2")),
        ];
        for (own, client, expected) in cases {
            let found = combined(own, client).unwrap();
            assert_eq!(found.as_deref(), expected, "{own:?} {client:?}");
        }
    }

    #[test]
    fn names_that_a_server_writes_alike_are_repeated() {
        for client in ["tenant.id=2", "tenant%20id=2", "tenant+id=2", "Tenant_Id=2"] {
            let outcome = combined(Some("tenant_id=1"), Some(client));
            assert_eq!(outcome, Err(Reason::AmbiguousQuery), "{client}");
        }
    }

    #[test]
    fn a_parameter_of_the_operator_cannot_be_repeated() {
        for client in [
            "tenant=2",
            "tenant",
            "x=1&tenant=2",
            "x=1;tenant=2",
            "Tenant=2",
            "%74enant=2",
            "tena%6Et",
            "tenant[]=2",
            "tenant%5B0%5D=2",
            "+tenant=2",
            "tenant%00x=2",
        ] {
            let outcome = combined(Some("tenant=1"), Some(client));
            assert_eq!(outcome, Err(Reason::AmbiguousQuery), "{client}");
        }
    }
}
