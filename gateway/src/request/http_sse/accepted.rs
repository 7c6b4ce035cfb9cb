//! The answer to a message of HTTP+SSE: its status alone. Whatever the MCP server has to say comes on the event stream, where it is
//! edited; so its body is not forwarded.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::upstream::UpstreamBody;

/// The most bytes of such a body that are read, so that its connection can be used again. Servers write `Accepted`.
const MAX_DISCARDED: usize = 4 * 1024;

/// How long they are waited for.
const DISCARD_DEADLINE: Duration = Duration::from_millis(200);

/// Reads and drops the body. The connection of a longer one is closed.
pub(crate) async fn discard(mut body: UpstreamBody) {
    let discard = async {
        let mut left = MAX_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, bytes::Bytes::len);
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    // A body that is not complete by then closes its connection.
    let _ = timeout(DISCARD_DEADLINE, discard).await;
}
