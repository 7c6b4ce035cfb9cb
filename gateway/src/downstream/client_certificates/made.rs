//! Certificates for tests that no maker of certificates makes: of any version, with any fields.

/// One value in DER.
pub(super) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], &content].concat()
}

/// A certificate with these first fields, this key and these last fields. The fields between them are empty. Nobody signed it.
pub(super) fn certificate(first: &[u8], info: &[u8], last: &[u8]) -> Vec<u8> {
    let empty = der(0x30, &[]);
    let fields = [first, &der(0x02, &[&[1]]), &empty.repeat(4), info, last];
    der(0x30, &[&der(0x30, &fields), &empty, &der(0x03, &[&[0]])])
}
