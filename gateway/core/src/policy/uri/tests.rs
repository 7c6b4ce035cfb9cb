use super::decoded::{Stars, decoded};
use super::*;

fn texts(uri: &str) -> Vec<String> {
    let readings = readings(uri, false).unwrap();
    let others = readings.others.into_iter();
    others.map(|(_, text)| text.into()).collect()
}

#[test]
fn a_uri_is_read_as_parsers_and_decoding_servers_read_it() {
    for (uri, expected) in [
        ("note:///my secret", &["note:///my%20secret"][..]),
        ("note:///gr\u{fc}n", &["note:///gr%C3%BCn"]),
        ("https://host", &["https://host/"]),
        ("note:///docs/secret#x", &["note:///docs/secret"]),
        ("db://u@secret/a", &["db://secret/a"]),
        ("db://u:p@SECRET/a?b", &["db://secret/a?b"]),
        ("file:///a?next=b", &["file:///a"]),
        (
            "https://example.com/a%20b#c",
            &["https://example.com/a%20b"],
        ),
        ("https://@host/a", &["https://host/a"]),
        ("https://:@host/a", &["https://host/a"]),
        ("note://@host/a", &["note://host/a"]),
        (
            "https://ho\u{ff53}t/a",
            &["https://host/a", "https://ho%EF%BD%93t/a"],
        ),
        (
            "https://ho\u{ad}st/a",
            &["https://host/a", "https://ho%C2%ADst/a"],
        ),
        ("http://127.1/a", &["http://127.0.0.1/a"]),
        ("http://2130706433/a", &["http://127.0.0.1/a"]),
        ("http://0x7f000001/a", &["http://127.0.0.1/a"]),
        ("http://[0::1]/a", &["http://[::1]/a"]),
        (
            "HTTPS://Host:443/a",
            &["https://host/a", "https://host:443/a"],
        ),
        ("https:\\\\host\\a", &["https://host/a"]),
        ("file:/a", &["file:///a"]),
        ("file://localhost/a", &["file:///a"]),
        ("file:///a/b ", &["file:///a/b", "file:///a/b%20"]),
        ("file:///%73ecret/a", &["file:///secret/a"]),
        ("file:///secret%2Fa", &["file:///secret/a"]),
        ("file:///secret\\a", &["file:///secret/a"]),
        ("file:///secret//a", &["file:///secret/a"]),
        ("note:///a*b", &["note:///a%2Ab"]),
        ("note:a\\b", &["note:a/b"]),
    ] {
        assert!(!is_plain(uri), "{uri}");
        let texts = texts(uri);
        for expected in expected {
            assert!(texts.iter().any(|text| text == expected), "{uri} {texts:?}");
        }
        let own = |text: &String| text != uri;
        assert!(texts.iter().all(own), "{uri} {texts:?}");
    }
    for drive in [
        "file:///C|/a",
        "file:C|/a",
        "file://C|/a",
        "file:\\\\\\C|\\a",
    ] {
        let decoded = |text: &String| *text == "file:///C:/a";
        assert!(
            texts(drive).iter().any(decoded),
            "{drive} {:?}",
            texts(drive)
        );
    }
}

#[test]
fn an_ordinary_uri_has_one_reading() {
    for uri in [
        "tasks://all",
        "tasks://all/B",
        "file:///a/b.c/..d/e..",
        "file:///a/...",
        "note:///a?next=../b",
        "file:///C:/a",
        "https://example.com/~user/a%20b",
        "https://example.com:8443/A/b",
        "http://[::1]:8080/a",
        "http://127.0.0.1/a",
        "wss://example.com/",
        "note:///caf%C3%A9%20au%20lait",
        "note:///100%25",
        "note:///what%3F",
        "urn:isbn:0451450523",
        "mailto:a@example.com",
        "db+x://host/a/?q=b&c=d/f?g",
        "x:",
        "x://",
        "x:///",
        "x://h/a/",
    ] {
        assert_eq!(texts(uri), [""; 0], "{uri}");
    }
    for name in ["readme", "readme.md", "docs/readme.md", "", "..."] {
        let readings = readings(name, false).unwrap();
        assert!(readings.others.is_empty(), "{name}");
        assert!(readings.unparsable.is_some(), "{name}");
    }
}

#[test]
fn what_readers_resolve_at_different_times_is_refused() {
    for uri in [
        "file:///a/../b",
        "file:///a/./b",
        "file:///a/..",
        "file:///a/%2e%2E/b",
        "file:///a/.%2e/b",
        "file:///a/..;x/b",
        "file:///a/..%2fb",
        "file:///a%2f..%2fb",
        "file:///a\\..\\b",
        "file:///a%5C..%5cb",
        "docs://../b",
        "docs:..",
        "docs: ..",
        "docs://h/%20../a",
        "docs://h/..%20",
        "urn:pub:..",
        "urn:pub:%2e%2e",
        "urn:a:..:b",
        "urn:a:.",
        "../a",
        "..",
    ] {
        let fault = readings(uri, false).unwrap_err();
        assert_eq!(fault, UriFault::DotSegments, "{uri}");
    }
    for uri in [
        "file:///a\u{0}",
        "file:///a%00",
        "file:///a%0A",
        "file:///a\tb",
        "file:///a?%00",
        "file:///a#%00",
    ] {
        let fault = readings(uri, false).unwrap_err();
        assert_eq!(fault, UriFault::Control, "{uri:?}");
    }
    assert!(readings("file:///a?text=b%0Ac", false).is_ok());
}

#[test]
fn what_is_plain_has_one_reading() {
    // Every URI of a few parts, so that each rule of the scan meets each other.
    let schemes = ["file:", "https:", "x:", "X:", ""];
    let starts = [
        "", "/", "//", "///", "//h", "//H", "//h.", "//1", "//a.1", "//xn--a", "//h/", "//.",
        "//..", "//a:1/",
    ];
    let paths = [
        "", "a", "A", "/", "a/", "/a", "a//b", ".", "..", "..;a", "a..", "a/.", "a/./b", "*",
        "a'b", "%41", "a:b@c", "c|",
    ];
    let ends = ["", "?", "#", "?a/../b?c", "#a?b#", "?'", "?a#b", "#'"];
    let mut plain = 0;
    for scheme in schemes {
        for start in starts {
            for path in paths {
                for end in ends {
                    let uri = format!("{scheme}{start}{path}{end}");
                    if !is_plain(&uri) {
                        continue;
                    }
                    plain += 1;
                    assert_eq!(Url::parse(&uri).unwrap().as_str(), uri);
                    let decoded = decoded(&uri, Stars::Encode);
                    assert_eq!(decoded.as_deref(), Ok(&*uri));
                }
            }
        }
    }
    assert!(plain > 100, "{plain}");
}
