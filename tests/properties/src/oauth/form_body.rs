//! Forms: what is accepted is what another parser reads, and is written as it was read.

use mcp_gateway_oauth::form::{Form, FormError};

/// A body or a query.
pub fn form_body(bytes: &[u8]) {
    let form = match Form::parse(bytes) {
        Ok(form) => form,
        Err(FormError::Repeated(name)) => {
            let ambiguous = Form::parse_ambiguous(bytes).unwrap();
            assert_eq!(ambiguous.get(&name), None, "{name:?} has a value");
            assert!(ambiguous.repeated().any(|repeated| repeated == name));
            return;
        }
        Err(error) => {
            assert_eq!(Form::parse_ambiguous(bytes), Err(error));
            return;
        }
    };
    let read = form_urlencoded::parse(bytes).filter(|(_, value)| !value.is_empty());
    let own: Vec<_> = form
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    assert_eq!(own, read.collect::<Vec<_>>());
    for (name, value) in form.iter() {
        assert!(!format!("{name}{value}").chars().any(char::is_control));
        assert!(
            name == "resource" || form.all(name).count() == 1,
            "{name:?} is there twice"
        );
    }
    let written = form.to_query(&[]);
    if written.len() <= mcp_gateway_oauth::form::MOST_BYTES {
        assert_eq!(Form::parse(written.as_bytes()).as_ref(), Ok(&form));
    }
}
