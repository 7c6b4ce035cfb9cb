//! What must hold while something fails: each scenario starts the real gateway, does something bad to it or around it under
//! load, and prints what it counted.
//!
//! `make reliability` runs all of them at full length, `make reliability ARGS=NAME` one; as a part of `make test` they are
//! shortened. They run one after the other: each needs the whole machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod load;
mod scale;
mod site;
mod soak;

/// Shortage: descriptors, memory, processor time, disk.
mod shortage {
    pub(crate) mod descriptors;
    pub(crate) mod full_disk;
    pub(crate) mod memory;
    pub(crate) mod probes;
    pub(crate) mod sign_ins;
    pub(crate) mod slow_calls;
    pub(crate) mod stalled_bodies;
}

/// Peers fail: the issuer, the upstream, slow clients.
mod peers {
    pub(crate) mod instance_restarted;
    pub(crate) mod issuer_down;
    pub(crate) mod slow_peers;
    pub(crate) mod upstream_killed;
}

/// The gateway itself changes: its configuration, its binary, or it shuts down.
mod changes {
    pub(crate) mod reload;
    pub(crate) mod shutdown;
    pub(crate) mod upgrade;
}

use std::sync::Mutex;

use libtest_mimic::{Arguments, Failed, Trial};

use changes::{reload, shutdown, upgrade};
use peers::{instance_restarted, issuer_down, slow_peers, upstream_killed};
use scale::Scale;
use shortage::{descriptors, full_disk, memory, probes, sign_ins, slow_calls, stalled_bodies};

/// What a scenario counted, in a sentence.
type Figures = String;

static FIGURES: Mutex<Vec<(&str, Figures)>> = Mutex::new(Vec::new());

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let conclusion = libtest_mimic::run(&arguments, trials());
    for (name, figures) in FIGURES.lock().unwrap().iter() {
        println!("{name:<24} {figures}");
    }
    conclusion.exit();
}

fn trials() -> Vec<Trial> {
    vec![
        trial("upstream_killed", upstream_killed::run),
        trial("instance_restarted", instance_restarted::run),
        trial("issuer_down", issuer_down::run),
        trial("reload_under_load", reload::under_load),
        trial("broken_reloads", reload::broken),
        trial("shutdown_under_load", shutdown::run),
        trial("upgrade_under_load", upgrade::run),
        trial("few_descriptors", descriptors::run),
        trial("slow_calls", slow_calls::run),
        trial("stalled_bodies", stalled_bodies::run),
        trial("probes", probes::run),
        trial("sign_ins", sign_ins::run),
        trial("slow_headers", slow_peers::headers),
        trial("slow_bodies", slow_peers::bodies),
        trial("slow_readers", slow_peers::readers),
        trial("slow_handshakes", slow_peers::handshakes),
        trial("little_memory", memory::run),
        trial("full_disk", full_disk::run),
        trial("soak", soak::run),
    ]
}

fn trial(
    name: &'static str,
    scenario: impl AsyncFnOnce(Scale) -> Figures + Send + 'static,
) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failed::from)?;
        let figures = runtime.block_on(scenario(Scale::from_environment()));
        FIGURES.lock().unwrap().push((name, figures));
        Ok(())
    })
}
