//! What was fetched, by URL: so many of one site, and so many in total. A site whose every URL answers pushes only its own entries
//! out.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Instant};

use mcp_gateway_core::http::outbound::foreign_url::ForeignUrl;

use super::freshness::Lifetime;

/// The most that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) entries: usize,
    /// Of the documents as they were fetched.
    pub(crate) bytes: usize,
}

/// The shares of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheShares {
    /// Of one site: a domain and all names below it.
    pub(crate) site: Room,
    /// Of all sites together.
    pub(crate) total: Room,
}

impl Default for CacheShares {
    fn default() -> Self {
        Self {
            site: Room {
                entries: 128,
                bytes: 1024 * 1024,
            },
            total: Room {
                entries: 2048,
                bytes: 16 * 1024 * 1024,
            },
        }
    }
}

/// Values by URL.
#[derive(Debug)]
pub(super) struct Cache<T> {
    shares: CacheShares,
    sites: HashMap<String, Site<T>>,
    total: Held,
    /// Counts uses: what was used least recently leaves first.
    uses: u64,
}

#[derive(Debug)]
struct Site<T> {
    entries: HashMap<String, Entry<T>>,
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    entries: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    kept: Kept<T>,
    bytes: usize,
    used: u64,
}

/// A value, and how long it may be used.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) value: Arc<T>,
    /// When it was fetched.
    pub(super) fetched: Instant,
    /// It is used without asking again before this.
    pub(super) fresh_until: Instant,
    /// It is not used any more from then on.
    pub(super) end: Instant,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

impl<T> Kept<T> {
    /// A value that was fetched at `now`.
    pub(super) fn new(value: T, lifetime: Lifetime, now: Instant) -> Self {
        let fresh_until = now.checked_add(lifetime.fresh).unwrap_or(now);
        Self {
            value: Arc::new(value),
            fetched: now,
            fresh_until,
            end: fresh_until
                .checked_add(lifetime.stale)
                .unwrap_or(fresh_until),
        }
    }
}

impl<T> Cache<T> {
    /// An empty one.
    pub(super) fn new(shares: CacheShares) -> Self {
        Self {
            shares,
            sites: HashMap::new(),
            total: Held::default(),
            uses: 0,
        }
    }

    /// What is kept for this URL at `now`, fresh or stale.
    pub(super) fn find(&mut self, url: &ForeignUrl, now: Instant) -> Option<Kept<T>> {
        self.uses += 1;
        let site = self.sites.get_mut(url.site())?;
        let entry = site.entries.get_mut(url.as_str())?;
        if now < entry.kept.end {
            entry.used = self.uses;
            return Some(entry.kept.clone());
        }
        self.remove(url.site(), url.as_str());
        None
    }

    /// Keeps a value of this many bytes.
    pub(super) fn insert(&mut self, url: &ForeignUrl, kept: Kept<T>, bytes: usize) {
        self.forget(url);
        self.uses += 1;
        let bytes = bytes.saturating_add(url.as_str().len());
        let site = self
            .sites
            .entry(url.site().to_owned())
            .or_insert_with(|| Site {
                entries: HashMap::new(),
                held: Held::default(),
            });
        let entry = Entry {
            kept,
            bytes,
            used: self.uses,
        };
        site.entries.insert(url.as_str().to_owned(), entry);
        site.held.add(bytes);
        self.total.add(bytes);
        self.make_room(url.site());
    }

    /// Keeps nothing for this URL.
    pub(super) fn forget(&mut self, url: &ForeignUrl) {
        self.remove(url.site(), url.as_str());
    }

    /// Removes entries until every share is kept: first of the site that got one, then of the site that holds most.
    fn make_room(&mut self, grown: &str) {
        while self
            .sites
            .get(grown)
            .is_some_and(|site| !site.held.is_within(self.shares.site))
        {
            self.remove_oldest(grown);
        }
        while !self.total.is_within(self.shares.total) {
            let by_bytes = self.total.bytes > self.shares.total.bytes;
            let most = self.sites.iter().max_by_key(|(_, site)| {
                let held = if by_bytes {
                    site.held.bytes
                } else {
                    site.held.entries
                };
                (held, Reverse(site.oldest_use()))
            });
            let Some(name) = most.map(|(name, _)| name.clone()) else {
                return;
            };
            self.remove_oldest(&name);
        }
    }

    fn remove_oldest(&mut self, site: &str) {
        let entries = self.sites.get(site).map(|site| &site.entries);
        let oldest = entries.and_then(|entries| entries.iter().min_by_key(|(_, entry)| entry.used));
        match oldest.map(|(url, _)| url.clone()) {
            Some(url) => self.remove(site, &url),
            None => {
                self.sites.remove(site);
            }
        }
    }

    fn remove(&mut self, name: &str, url: &str) {
        let Some(site) = self.sites.get_mut(name) else {
            return;
        };
        if let Some(entry) = site.entries.remove(url) {
            site.held.take(entry.bytes);
            self.total.take(entry.bytes);
        }
        if site.entries.is_empty() {
            self.sites.remove(name);
        }
    }
}

impl<T> Site<T> {
    fn oldest_use(&self) -> Option<u64> {
        self.entries.values().map(|entry| entry.used).min()
    }
}

impl Held {
    const fn add(&mut self, bytes: usize) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn take(&mut self, bytes: usize) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    const fn is_within(self, room: Room) -> bool {
        self.entries <= room.entries && self.bytes <= room.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIFETIME: Lifetime = Lifetime {
        fresh: Duration::from_secs(60),
        stale: Duration::from_secs(30),
    };

    fn url(text: &str) -> ForeignUrl {
        ForeignUrl::parse(&format!("https://{text}")).unwrap()
    }

    fn cache(site: (usize, usize), total: (usize, usize)) -> Cache<String> {
        let room = |(entries, bytes)| Room { entries, bytes };
        Cache::new(CacheShares {
            site: room(site),
            total: room(total),
        })
    }

    fn put(cache: &mut Cache<String>, text: &str, bytes: usize, now: Instant) {
        let url = url(text);
        let padding = bytes - url.as_str().len();
        cache.insert(&url, Kept::new(text.to_owned(), LIFETIME, now), padding);
        let held = cache.sites.values().map(|site| site.held);
        let sum = held.fold(Held::default(), |sum, held| Held {
            entries: sum.entries + held.entries,
            bytes: sum.bytes + held.bytes,
        });
        assert_eq!(cache.total, sum);
        assert!(cache.total.is_within(cache.shares.total));
    }

    fn has(cache: &mut Cache<String>, text: &str, now: Instant) -> bool {
        cache
            .find(&url(text), now)
            .is_some_and(|kept| *kept.value == text)
    }

    #[test]
    fn a_value_is_fresh_then_stale_then_gone() {
        let now = Instant::now();
        let mut cache = cache((9, 9999), (9, 9999));
        put(&mut cache, "a.example/1", 100, now);
        let kept = cache.find(&url("a.example/1"), now).unwrap();
        assert_eq!(kept.fresh_until, now + LIFETIME.fresh);
        let stale = now + Duration::from_secs(89);
        assert!(has(&mut cache, "a.example/1", stale));
        assert!(!has(
            &mut cache,
            "a.example/1",
            now + Duration::from_secs(90)
        ));
        assert_eq!((cache.total, cache.sites.len()), (Held::default(), 0));
    }

    #[test]
    fn a_site_whose_every_url_answers_pushes_only_its_own_entries_out() {
        let now = Instant::now();
        let mut cache = cache((10, 9999), (20, 99_999));
        for quiet in ["claude.ai/1", "vscode.dev/1"] {
            put(&mut cache, quiet, 100, now);
        }
        for id in 0..1000 {
            put(&mut cache, &format!("template.example/{id}"), 100, now);
            put(&mut cache, &format!("{id}.wildcard.example/"), 100, now);
        }
        for quiet in ["claude.ai/1", "vscode.dev/1"] {
            assert!(has(&mut cache, quiet, now), "{quiet}");
        }
        assert!(has(&mut cache, "template.example/999", now));
        assert!(!has(&mut cache, "template.example/0", now));
        assert_eq!(cache.sites["template.example"].held.entries, 9);
    }

    #[test]
    fn of_one_site_what_was_used_least_recently_leaves() {
        let now = Instant::now();
        let mut cache = cache((2, 9999), (9, 9999));
        put(&mut cache, "a.example/1", 100, now);
        put(&mut cache, "a.example/2", 100, now);
        assert!(has(&mut cache, "a.example/1", now));
        put(&mut cache, "a.example/3", 100, now);
        let kept = ["a.example/1", "a.example/2", "a.example/3"];
        assert_eq!(
            kept.map(|text| has(&mut cache, text, now)),
            [true, false, true]
        );
    }

    #[test]
    fn bytes_count_for_a_site_and_in_total() {
        let now = Instant::now();
        let mut cache = cache((9, 250), (9, 400));
        put(&mut cache, "a.example/1", 100, now);
        put(&mut cache, "a.example/2", 100, now);
        put(&mut cache, "a.example/3", 100, now);
        assert!(!has(&mut cache, "a.example/1", now));
        put(&mut cache, "b.example/1", 100, now);
        put(&mut cache, "c.example/1", 150, now);
        assert!(
            !has(&mut cache, "a.example/2", now),
            "of the site that holds most"
        );
        assert!(has(&mut cache, "b.example/1", now) && has(&mut cache, "c.example/1", now));
        put(&mut cache, "b.example/1", 50, now);
        assert_eq!(
            cache.total,
            Held {
                entries: 3,
                bytes: 300
            }
        );
    }
}
