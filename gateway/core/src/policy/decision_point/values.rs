//! Claims and arguments in a question: values that conditions read too, so that a number or a text which readers understand
//! differently is in none of them.

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;

use super::written::Written;

/// Writes the members of these names that a map has, as one object; nothing if it has none of them.
pub(super) fn write_members<'n>(
    written: &mut Written,
    name: &str,
    map: &CelMap<'_>,
    names: impl Iterator<Item = &'n String>,
) {
    let mut has_begun = false;
    for own in names {
        let Some(value) = member(map, own) else {
            continue;
        };
        if !has_begun {
            written.name(name);
            written.raw("{");
            has_begun = true;
        }
        written.name(own);
        write(written, value);
    }
    if has_begun {
        written.raw("}");
    }
}

fn member<'m, 'v>(map: &'m CelMap<'v>, name: &str) -> Option<&'m (dyn Val + 'v)> {
    let mut entries = map.inner().iter();
    let is_it = |key: &CelMapKey<'_>| text_of(key) == Some(name);
    entries
        .find(|(key, _)| is_it(key))
        .map(|(_, value)| &**value)
}

/// Values are made of JSON, so keys are texts.
fn text_of<'k>(key: &'k CelMapKey<'_>) -> Option<&'k str> {
    match key {
        CelMapKey::String(text) => Some(text.inner()),
        CelMapKey::Bool(_) | CelMapKey::Int(_) | CelMapKey::UInt(_) => None,
    }
}

/// Writes a value that was made of JSON.
fn write(written: &mut Written, value: &dyn Val) {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        written.text(text.inner());
    } else if let Some(number) = value.downcast_ref::<CelInt>() {
        written.raw(&number.inner().to_string());
    } else if let Some(flag) = value.downcast_ref::<CelBool>() {
        written.raw(if *flag.inner() { "true" } else { "false" });
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        write_list(written, list);
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        write_map(written, map);
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        written.raw(&number.inner().to_string());
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        // Its form in Rust is a JSON number, because no JSON number is infinite.
        written.raw(&format!("{:?}", number.inner()));
    } else {
        debug_assert!(value.downcast_ref::<CelNull>().is_some());
        written.raw("null");
    }
}

fn write_list(written: &mut Written, list: &CelList<'_>) {
    written.raw("[");
    for element in list.inner() {
        written.comma();
        write(written, &**element);
    }
    written.raw("]");
}

/// The members in the order of their names.
fn write_map(written: &mut Written, map: &CelMap<'_>) {
    let mut members: Vec<_> = map
        .inner()
        .iter()
        .filter_map(|(key, value)| Some((text_of(key)?, value)))
        .collect();
    members.sort_by_key(|(name, _)| *name);
    written.raw("{");
    for (name, value) in members {
        written.name(name);
        write(written, &**value);
    }
    written.raw("}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cel::kept_claims::{ClaimNames, KeptClaims};
    use crate::json;

    fn written(claims: &str, names: &[&str]) -> String {
        let object = json::object(claims.as_bytes()).unwrap();
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let kept = KeptClaims::of(&object, &ClaimNames::These(names.clone()));
        let mut written = Written::new();
        write_members(&mut written, "claims", kept.map(), names.iter());
        String::from_utf8(written.into_bytes()).unwrap()
    }

    #[test]
    fn values_keep_their_meaning_and_have_one_form() {
        let claims = r#"{"z":{"b":[1,-2,null,true],"a":"\u0061\n"},"n":1.5e0,"big":18446744073709551615,"f":false,"e":{},"l":[]}"#;
        assert_eq!(
            written(claims, &["z", "n", "big", "f", "e", "l", "missing"]),
            r#""claims":{"big":18446744073709551615,"e":{},"f":false,"l":[],"n":1.5,"z":{"a":"a\u000a","b":[1,-2,null,true]}}"#
        );
        assert_eq!(written(claims, &["missing"]), "");
    }

    #[test]
    fn a_fraction_and_an_exponent_stay_numbers_of_the_same_value() {
        for (number, expected) in [
            ("1e2", "100.0"),
            ("0.1", "0.1"),
            ("1e300", "1e300"),
            ("-0.5", "-0.5"),
        ] {
            let text = written(&format!(r#"{{"n":{number}}}"#), &["n"]);
            assert_eq!(text, format!(r#""claims":{{"n":{expected}}}"#));
            let value: serde_json::Value = serde_json::from_str(&format!("{{{text}}}")).unwrap();
            let as_sent: f64 = number.parse().unwrap();
            assert_eq!(value["claims"]["n"].as_f64(), Some(as_sent));
        }
    }
}
