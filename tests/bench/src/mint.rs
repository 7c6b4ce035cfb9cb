//! Tokens and the key set. The key comes from openssl (run.sh); this signs with it.
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::fs;
use test_support::{Key, KeyPair, base64url, base64url_decode, key_set, now};

const ISSUER: &str = "https://issuer.bench.test";
const AUDIENCE: &str = "https://mcp.bench.test/mcp";
const SCOPE: &str = "mcp:tools mcp:read";

/// One week, in seconds.
const LIFE: i64 = 7 * 86_400;

#[derive(clap::Args)]
pub struct Args {
    /// Folder with rsa.pem (PKCS#8); the output goes there too.
    #[arg(long)]
    dir: String,
    /// Distinct tokens for the runs in which no cache of verified tokens may hit.
    #[arg(long, default_value_t = 20_000)]
    many: usize,
}

pub struct Minter {
    key: Key,
    now: i64,
}

impl Minter {
    pub fn new(key: Key) -> Self {
        Self { key, now: now() }
    }

    pub fn claims(&self, user: usize) -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": format!("user-{user:06}"), "scope": SCOPE,
            "client_id": "https://client.bench.test/metadata.json", "azp": "bench-client",
            "jti": format!("7f1c2a34-5b6d-4e8f-9a0b-{user:012x}"), "sid": format!("session-{user:08x}"),
            "iat": self.now, "nbf": self.now - 5, "exp": self.now + LIFE,
            "email": format!("user-{user:06}@bench.test"), "groups": ["engineering", "mcp-users"],
        })
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.key.algorithm(), "kid": self.key.id, "typ": "at+jwt"});
        self.key.sign(&header.to_string(), &claims.to_string())
    }

    /// A token that is good but for one claim.
    fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims(0);
        claims[claim] = value;
        self.sign(&claims)
    }
}

pub fn run(a: Args) {
    let put = |file: &str, text: String| fs::write(format!("{}/{file}", a.dir), text).unwrap();
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_file(format!("{}/rsa.pem", a.dir)).unwrap();
    let pair = KeyPair::rsa_from_pkcs8(pkcs8.secret_pkcs8_der());
    let minter = Minter::new(Key::new("bench-rsa", pair));
    put("jwks.json", key_set(&[&minter.key]).to_string());
    let hot = minter.sign(&minter.claims(0));
    put("many.txt", (1..=a.many).map(|user| minter.sign(&minter.claims(user)) + "\n").collect());

    // What every proxy that checks tokens must refuse; nothing is timed before it did.
    put("bad-expired.txt", minter.with("exp", json!(minter.now - 3600)));
    put("bad-audience.txt", minter.with("aud", json!("https://other.bench.test")));
    put("bad-issuer.txt", minter.with("iss", json!("https://evil.bench.test")));
    put("bad-scope.txt", minter.with("scope", json!("other:read")));
    put("bad-signature.txt", altered(&hot));
    put("hot.txt", hot);
}

/// The token with one bit of its signature turned.
fn altered(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = base64url_decode(signature);
    signature[100] ^= 1;
    format!("{message}.{}", base64url(signature))
}
