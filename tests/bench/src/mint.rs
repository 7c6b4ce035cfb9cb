//! Tokens and the key set. The key comes from openssl (run.sh); this signs with it.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::rand::SystemRandom;
use ring::{rsa, signature};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "https://issuer.bench.test";
const AUDIENCE: &str = "https://mcp.bench.test/mcp";
const SCOPE: &str = "mcp:tools mcp:read";

/// One week, in seconds.
const LIFE: u64 = 7 * 86_400;

#[derive(clap::Args)]
pub struct Args {
    /// Folder with rsa.pem (PKCS#8); the output goes there too.
    #[arg(long)]
    dir: String,
    /// Distinct tokens for the runs in which no cache of verified tokens may hit.
    #[arg(long, default_value_t = 20_000)]
    many: usize,
}

struct Minter {
    key: rsa::KeyPair,
    random: SystemRandom,
    now: u64,
}

impl Minter {
    fn claims(&self, user: usize) -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": format!("user-{user:06}"), "scope": SCOPE,
            "client_id": "https://client.bench.test/metadata.json", "azp": "bench-client",
            "jti": format!("7f1c2a34-5b6d-4e8f-9a0b-{user:012x}"), "sid": format!("session-{user:08x}"),
            "iat": self.now, "nbf": self.now - 5, "exp": self.now + LIFE,
            "email": format!("user-{user:06}@bench.test"), "groups": ["engineering", "mcp-users"],
        })
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "bench-rsa", "typ": "at+jwt"});
        let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let mut out = vec![0; self.key.public().modulus_len()];
        self.key.sign(&signature::RSA_PKCS1_SHA256, &self.random, message.as_bytes(), &mut out).unwrap();
        format!("{message}.{}", B64.encode(out))
    }

    /// A token that is good but for one claim.
    fn with(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims(0);
        claims[claim] = value;
        self.sign(&claims)
    }

    fn key_set(&self) -> Value {
        let public = rsa::PublicKeyComponents::<Vec<u8>>::from(self.key.public());
        json!({"keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench-rsa",
            "n": B64.encode(public.n), "e": B64.encode(public.e),
        }]})
    }
}

pub fn run(a: Args) {
    let put = |file: &str, text: String| fs::write(format!("{}/{file}", a.dir), text).unwrap();
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_file(format!("{}/rsa.pem", a.dir)).unwrap();
    let minter = Minter {
        key: rsa::KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).unwrap(),
        random: SystemRandom::new(),
        now: SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    };
    put("jwks.json", minter.key_set().to_string());
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
    let mut signature = B64.decode(signature).unwrap();
    signature[100] ^= 1;
    format!("{message}.{}", B64.encode(signature))
}
