//! What an id names.

use mcp_gateway_core::{http::outbound::foreign_url::ForeignUrlError, time::UnixTime};

use crate::{
    client::{
        document::{DocumentUrlError, Domains},
        foreign_url::ForeignUrlFault,
        metadata::MethodName,
        model::{Client, ClientMethod, ClientOrigin, GrantTypes},
        provisional::ProvisionalRules,
        registration::{Entropy, RegistrationPolicy, judge, register},
        resolve::{Directory, Lookup, Nobody, resolve},
    },
    keys::ServerKeys,
    redirect_uri::RedirectRules,
    store::memory::MemoryRows,
};

const NOW: UnixTime = UnixTime::new(1_800_000_000);

fn configured(id: &str) -> Client {
    Client {
        requires_proof: false,
        requires_certificate: false,
        id: id.to_owned(),
        name: None,
        redirect_uris: vec!["https://a.example/cb".to_owned()],
        method: ClientMethod::None,
        grant_types: GrantTypes::default(),
        scopes: None,
        origin: ClientOrigin::Configured,
    }
}

fn look(directory: &Directory, rows: &MemoryRows, id: &str) -> Lookup {
    resolve(directory, rows, id, Some("http://127.0.0.1:1/"), NOW).unwrap()
}

#[test]
fn an_id_is_configured_registered_a_document_or_nobody() {
    let mut rows = MemoryRows::default();
    let request = judge(
        br#"{"redirect_uris":["https://a.example/cb"]}"#,
        &RedirectRules::default(),
    )
    .unwrap();
    let keys = ServerKeys::new(&[[1; 32]]).unwrap();
    let (client_id, secret) = ([7; 16], [7; 32]);
    let entropy = Entropy { client_id, secret };
    let policy = RegistrationPolicy::default();
    let registered = register(&mut rows, &request, None, &entropy, &keys, &policy, NOW);
    let id = registered.unwrap().unwrap().stored.client.id;

    let mut directory = Directory {
        documents: Some(Domains(vec!["claude.ai".to_owned()])),
        ..Directory::default()
    };
    let overruled = "https://claude.ai/oauth/overruled";
    for id in ["static", overruled] {
        directory.configured.insert(id.to_owned(), configured(id));
    }
    let origin = |id: &str| match look(&directory, &rows, id) {
        Lookup::Client(client) => client.origin,
        other => panic!("{other:?}"),
    };
    assert_eq!(origin("static"), ClientOrigin::Configured);
    assert_eq!(origin(overruled), ClientOrigin::Configured);
    assert!(matches!(origin(&id), ClientOrigin::Registered { .. }));
    let document = "https://claude.ai/oauth/claude-code-client-metadata";
    assert!(
        matches!(look(&directory, &rows, document), Lookup::Document(url) if url.as_str() == document)
    );
    let http = DocumentUrlError::Foreign(ForeignUrlFault::NotFetched(ForeignUrlError::Scheme));
    for (id, expected) in [
        ("unknown", Nobody::Unknown),
        ("", Nobody::Unknown),
        ("https://evil.example/c.json", Nobody::HostNotAccepted),
        ("http://claude.ai/c.json", Nobody::NotADocument(http)),
        (
            "https://claude.ai/",
            Nobody::NotADocument(DocumentUrlError::NoPath),
        ),
        (&"a".repeat(513), Nobody::TooLong),
    ] {
        let found = look(&directory, &rows, id);
        assert_eq!(found, Lookup::Nobody(expected), "{id}");
    }
    directory.documents = None;
    let off = look(&directory, &rows, document);
    assert_eq!(off, Lookup::Nobody(Nobody::DocumentsOff));
    directory.provisional = Some(ProvisionalRules::default());
    assert!(
        matches!(look(&directory, &rows, "unknown"), Lookup::Client(client) if client.origin == ClientOrigin::Provisional)
    );
    // An id that is meant as a URL is never provisional.
    assert!(matches!(
        look(&directory, &rows, document),
        Lookup::Nobody(_)
    ));
}

#[test]
fn names_of_methods_are_read_letter_for_letter() {
    for method in MethodName::ALL {
        assert_eq!(MethodName::parse(method.as_str()), Some(method));
    }
    for name in ["", "None", "client_secret_jwt", "tls_client_auth", "none "] {
        assert_eq!(MethodName::parse(name), None, "{name:?}");
    }
}
