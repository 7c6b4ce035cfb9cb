//! How long it takes to refuse a session id does not show what is wrong with it: whether it is genuine and another's, altered, or sealed
//! with a key that nobody here has.
//!
//! Time is measured, so the comparison is of what noise does not reach: each kind takes its turn in every round, and what
//! counts is the time that a tenth of its attempts stay under.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_gateway_core::refusal::reason::Reason;
use mcp_gateway_core::{
    endpoint_id::EndpointId,
    seal::{Binding, Sealer, SealingKey},
};

/// Attempts of each kind.
const ROUNDS: usize = 25_000;

/// How far the slowest kind may lie above the fastest, in hundredths. Copying what opened takes a tenth; leaving the AEAD out for
/// one kind makes it half as much again.
const APART: u128 = 140;

const ALICE: Binding<'static> = Binding {
    resource: "https://mcp.example.com/mcp",
    issuer: "https://issuer.example.com",
    subject: "alice",
    client: Some("app"),
};
const MALLORY: Binding<'static> = Binding {
    subject: "mallory",
    ..ALICE
};

fn sealer(key: u8) -> Sealer {
    Sealer::new(vec![SealingKey::from_bytes(&[key; 32]).unwrap()]).unwrap()
}

/// The id with the character at this place exchanged.
fn altered(id: &str, at: usize) -> String {
    let mut characters = id.as_bytes().to_vec();
    characters[at] = if characters[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(characters).unwrap()
}

/// The time that a tenth of these stay under.
fn tenth(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 10]
}

#[test]
fn a_refused_id_takes_its_time_whatever_is_wrong_with_it() {
    let here = sealer(1);
    let upstream_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let endpoint = EndpointId::of("http://127.0.0.1:9000/mcp");
    let genuine = here.seal(&ALICE.session(), endpoint, upstream_id).unwrap();
    let (middle, end) = (genuine.len() / 2, genuine.len() - 2);
    let foreign = sealer(2)
        .seal(&ALICE.session(), endpoint, upstream_id)
        .unwrap();
    let kinds = [
        ("another's", genuine.clone(), Reason::SessionMismatch),
        ("altered", altered(&genuine, middle), Reason::SessionUnknown),
        (
            "another tag",
            altered(&genuine, end),
            Reason::SessionUnknown,
        ),
        ("another key's", foreign, Reason::SessionUnknown),
        ("another form", altered(&genuine, 0), Reason::SessionUnknown),
    ];
    let mut times = vec![Vec::with_capacity(ROUNDS); kinds.len()];
    for _ in 0..ROUNDS {
        for ((_, id, expected), times) in kinds.iter().zip(&mut times) {
            let began = Instant::now();
            let opened = black_box(here.open(black_box(&MALLORY.session()), black_box(id)));
            times.push(began.elapsed());
            assert_eq!(opened, Err(*expected));
        }
    }
    let tenths: Vec<_> = times.into_iter().map(tenth).collect();
    let (fastest, slowest) = (tenths.iter().min().unwrap(), tenths.iter().max().unwrap());
    let names = kinds.iter().map(|(name, ..)| *name);
    let measured: Vec<_> = names.zip(&tenths).collect();
    println!("{measured:?}");
    assert!(
        slowest.as_nanos() * 100 <= fastest.as_nanos() * APART,
        "{measured:?}"
    );
}
