//! The names under which several processes count in one store. Processes with the same limit and the same caller make the same name,
//! whatever the order of their configuration; nobody who reads the store learns who calls.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::rate_limit::{CountedBy, Per, RateLimit, Share};
use crate::seal::digest::{finish, hash_part};

/// The name of a bucket: a digest of the resource, the limit and what the bucket counts.
pub type SharedName = [u8; SHA256_OUTPUT_LEN];

/// A limit that several processes count together.
#[derive(Clone, Debug)]
pub struct SharedLimit(SharedName);

impl SharedLimit {
    /// That limit of the resource with this URI.
    pub fn new(resource: &str, limit: &RateLimit) -> Self {
        let mut context = Context::new(&SHA256);
        hash_part(&mut context, resource.as_bytes());
        hash_part(&mut context, per(limit.per).as_bytes());
        hash_part(
            &mut context,
            &limit.rate.interval().as_nanos().to_be_bytes(),
        );
        hash_part(&mut context, &limit.rate.span().as_nanos().to_be_bytes());
        hash_list(&mut context, limit.methods.iter().map(String::as_str));
        let names = limit.names.as_slice().iter();
        hash_list(&mut context, names.map(|name| name.as_str()));
        Self(finish(context))
    }

    /// The name of the bucket from which this share is taken.
    pub fn bucket(&self, share: &Share) -> SharedName {
        let mut context = Context::new(&SHA256);
        context.update(&self.0);
        match &share.bucket.of {
            CountedBy::Principal((issuer, subject, client)) => {
                hash_list(&mut context, [&**issuer, &**subject]);
                hash_list(&mut context, client.iter().map(|client| &**client));
            }
            CountedBy::Subject((issuer, subject)) => {
                hash_list(&mut context, [&**issuer, &**subject]);
            }
            CountedBy::Client(issuer, client) => {
                hash_part(&mut context, b"client");
                hash_list(&mut context, [&**issuer, &**client]);
            }
            CountedBy::Tool(at) => hash_part(&mut context, &at.to_be_bytes()),
            CountedBy::Resource => {}
        }
        finish(context)
    }
}

/// A list, with its length before it.
fn hash_list<'a>(context: &mut Context, texts: impl IntoIterator<Item = &'a str>) {
    let texts: Vec<_> = texts.into_iter().collect();
    hash_part(context, &texts.len().to_be_bytes());
    for text in texts {
        hash_part(context, text.as_bytes());
    }
}

const fn per(per: Per) -> &'static str {
    match per {
        Per::Principal => "principal",
        Per::Subject => "subject",
        Per::Client => "client",
        Per::Tool => "tool",
        Per::Resource => "resource",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::{super::rate_limit::Limiter, *};
    use crate::{
        principal::Principal,
        rate::{LimitId, token_bucket::Rate},
        scope::ScopeSet,
    };

    const CALL: (&str, Option<&str>) = ("tools/call", Some("x"));

    fn limit(per: Per, calls: u32, burst: u32) -> RateLimit {
        RateLimit {
            per,
            rate: Rate::new(calls, Duration::from_secs(60), burst),
            methods: Vec::new(),
            names: Vec::new().into(),
        }
    }

    fn caller(issuer: &str, subject: &str, client: Option<&str>) -> Principal {
        Principal {
            issuer: issuer.into(),
            subject: subject.into(),
            client: client.map(Into::into),
            scopes: ScopeSet::default(),
        }
    }

    /// `number` is that of the limit in one process.
    fn name(resource: &str, limit: &RateLimit, number: u64, caller: &Principal) -> SharedName {
        let limiter = Limiter {
            id: LimitId::new(number),
            limit: limit.clone(),
        };
        let share = limiter.share(caller, CALL.0, CALL.1).unwrap();
        SharedLimit::new(resource, limit).bucket(&share)
    }

    #[test]
    fn every_process_makes_the_same_name() {
        let ana = caller("issuer", "ana", Some("app"));
        for per in [Per::Principal, Per::Subject, Per::Client, Per::Resource] {
            let limit = limit(per, 10, 10);
            assert_eq!(name("r", &limit, 1, &ana), name("r", &limit, 7, &ana));
        }
    }

    #[test]
    fn another_resource_limit_or_caller_has_another_name() {
        let ana = caller("issuer", "ana", Some("app"));
        let callers = [
            ana.clone(),
            caller("issuer", "ana", None),
            caller("issuer", "ana", Some("")),
            caller("issuer", "anaapp", None),
            caller("issuera", "na", Some("app")),
            caller("issuer", "app", Some("ana")),
        ];
        let principal = limit(Per::Principal, 10, 10);
        let mut names: Vec<_> = callers
            .iter()
            .map(|caller| name("r", &principal, 1, caller))
            .collect();
        names.push(name("r2", &principal, 1, &ana));
        for other in [
            limit(Per::Principal, 11, 10),
            limit(Per::Principal, 10, 11),
            limit(Per::Subject, 10, 10),
            limit(Per::Client, 10, 10),
            limit(Per::Resource, 10, 10),
            RateLimit {
                methods: vec!["tools/call".to_owned()],
                ..principal.clone()
            },
        ] {
            names.push(name("r", &other, 1, &ana));
        }
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
