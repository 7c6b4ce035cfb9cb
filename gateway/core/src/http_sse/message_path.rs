//! Where clients POST their messages: a path below that of the resource, with the sealed value in its query.

/// What the path of messages has after that of its resource.
const SUFFIX: &str = "/message";

/// The parameter with the sealed value.
const PARAMETER: &str = "session";

/// The path of the messages of the resource at `resource`.
pub fn message_path(resource: &str) -> String {
    let base = resource.strip_suffix('/').unwrap_or(resource);
    format!("{base}{SUFFIX}")
}

/// The path of the resource whose messages have this path, without a final slash unless it is the root; none for the path of no
/// messages.
pub fn resource_path(path: &str) -> Option<&str> {
    match path.strip_suffix(SUFFIX)? {
        "" => Some("/"),
        base => Some(base),
    }
}

/// What the client gets as the URI for its messages.
pub fn location(resource: &str, sealed: &str) -> String {
    format!("{}?{PARAMETER}={sealed}", message_path(resource))
}

/// The sealed value in the query of a message. None where it is missing, or there several times.
pub fn sealed(query: Option<&str>) -> Option<&str> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == PARAMETER);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_a_path_below_their_resource() {
        for (resource, expected, back) in [
            ("/sse", "/sse/message", "/sse"),
            ("/sse/", "/sse/message", "/sse"),
            ("/a/sse", "/a/sse/message", "/a/sse"),
            ("/", "/message", "/"),
        ] {
            assert_eq!(message_path(resource), expected);
            assert_eq!(resource_path(expected), Some(back));
            let location = location(resource, "x-_1");
            assert_eq!(location, format!("{expected}?session=x-_1"));
        }
        for path in ["/sse", "/sse/message/", "/sse/messages", "/message/x", ""] {
            assert_eq!(resource_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_query_has_the_sealed_value_once() {
        for (query, expected) in [
            (Some("session=a"), Some("a")),
            (Some("x=1&session=a"), Some("a")),
            (Some("session=a&session=a"), None),
            (Some("session=a&session=b"), None),
            (Some("Session=a"), None),
            (Some("session"), None),
            (Some("session=a;session=b"), Some("a;session=b")),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(sealed(query), expected, "{query:?}");
        }
    }
}
