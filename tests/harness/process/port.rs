//! Free ports. The gateway must know its own address before it starts, because resource URIs hold it. So a port
//! is chosen here, and the gateway binds it. The range is below the ephemeral ports of outgoing connections.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address that is free and that this process has not returned before.
pub fn free() -> SocketAddr {
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Processes start at different places, so that they rarely race for a port.
        let port = FIRST + (std::process::id().wrapping_mul(97) + step) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port as u16));
        let mut given = GIVEN.lock().expect("no holder panics");
        if TcpListener::bind(address).is_ok() && given.get_or_insert_default().insert(port as u16) {
            return address;
        }
    }
    panic!("no free port");
}
