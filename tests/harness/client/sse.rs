//! Event streams as a client reads them: events and comments, each as soon as it is whole.

use std::time::Duration;

use tokio::time::timeout;

use crate::SOON;

/// One thing that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The lines of an event, joined by LF.
    Event(String),
    /// A comment, without its colon.
    Comment(String),
    /// The clean end of the stream.
    End,
    /// The end of a stream that was broken off.
    Broken,
}

/// A stream being read.
pub struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    /// Reads the body of this answer, which must be an event stream.
    pub fn new(answer: reqwest::Response) -> Self {
        assert_eq!(answer.status(), 200);
        let content_type = answer
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        assert!(
            content_type.is_some_and(|value| value.starts_with("text/event-stream")),
            "{content_type:?}"
        );
        Self {
            answer,
            text: String::new(),
        }
    }

    /// The next item.
    pub async fn next(&mut self) -> Item {
        self.next_within(SOON).await.expect("an item in time")
    }

    /// The next item, if it comes within `within`.
    pub async fn next_within(&mut self, within: Duration) -> Option<Item> {
        timeout(within, self.read()).await.ok()
    }

    /// The data of the next event; comments are skipped.
    pub async fn data(&mut self) -> String {
        loop {
            match self.next().await {
                Item::Comment(_) => {}
                Item::Event(event) => {
                    return event
                        .lines()
                        .filter_map(|line| line.strip_prefix("data:"))
                        .map(str::trim_start)
                        .collect();
                }
                end => panic!("{end:?} instead of an event"),
            }
        }
    }

    async fn read(&mut self) -> Item {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return match block.strip_prefix(':') {
                    Some(comment) => Item::Comment(comment.trim().to_owned()),
                    None => Item::Event(block),
                };
            }
            match self.answer.chunk().await {
                Ok(Some(chunk)) => self.text.push_str(&String::from_utf8_lossy(&chunk)),
                Ok(None) => return Item::End,
                Err(_) => return Item::Broken,
            }
        }
    }
}
