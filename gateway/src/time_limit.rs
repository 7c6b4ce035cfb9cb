//! A time limit on a future. The clock is read only once the future has to wait: most reads and writes of a request are done at once,
//! and there is a limit on each of them.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::{Unconstrained, unconstrained},
    time::{Sleep, sleep},
};

/// The future did not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late;

/// `future`, which ends with [`Late`] where it waits longer than `limit`; without a limit, it waits as long as it takes.
pub(crate) fn limited<F: Future>(limit: impl Into<Option<Duration>>, future: F) -> Limited<F> {
    Limited {
        limit: limit.into(),
        future,
        end: None,
    }
}

pin_project! {
    /// A future with a time limit; see [`limited`].
    pub(crate) struct Limited<F> {
        limit: Option<Duration>,
        #[pin]
        future: F,
        // Unconstrained: a future that uses up its task's budget each time is late all the same.
        #[pin]
        end: Option<Unconstrained<Sleep>>,
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = Result<F::Output, Late>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if let Some(limit) = this.limit.take() {
            this.end.set(Some(unconstrained(sleep(limit))));
        }
        if let Some(end) = this.end.as_pin_mut() {
            ready!(end.poll(cx));
            return Poll::Ready(Err(Late));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::{
        task::{consume_budget, yield_now},
        time::Instant,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn what_ends_in_time_has_its_output() {
        assert_eq!(limited(LIMIT, ready(1)).await, Ok(1));
        assert_eq!(limited(Duration::ZERO, ready(1)).await, Ok(1));
        let waits = async {
            yield_now().await;
            sleep(LIMIT - Duration::from_millis(2)).await;
            2
        };
        assert_eq!(limited(LIMIT, waits).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_late_after_the_limit() {
        let started = Instant::now();
        assert_eq!(limited(LIMIT, pending::<()>()).await, Err(Late));
        let waited = started.elapsed();
        assert!(waited >= LIMIT && waited < 2 * LIMIT, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_is_late() {
        assert_eq!(limited(None, sleep(1000 * LIMIT)).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_always_busy_is_late_too() {
        let busy = async {
            loop {
                consume_budget().await;
            }
        };
        assert_eq!(limited(Duration::from_millis(20), busy).await, Err(Late));
    }
}
