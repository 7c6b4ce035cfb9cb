//! The words for operators about every reason: when it is returned, why that usually happens, what the log shows of the request,
//! and how to fix it.
//!
//! `docs/why.md` is made from this table (`make reference`), and `check --explain` prints the cure. A [`Reason`] without a row does
//! not compile. Configuration keys are written in backticks, with their path as in `docs/configuration.md`; a test checks them.

mod asked;
mod credentials;
mod endpoints;
mod row;
mod sender;
mod transport;

use super::reason::Reason;
pub use row::Causes;

/// Makes one exhaustive match of the rows.
macro_rules! causes {
    (
        $($reason:ident { $when:literal $causes:literal $detail:literal $cure:literal })*
        $(=> $file:ident { $($elsewhere:ident)+ })*
    ) => {
        impl Reason {
            /// When it is returned, why, and how to fix it.
            pub const fn causes(self) -> Causes {
                match self {
                    $(Self::$reason => Causes { when: $when, causes: $causes, detail: $detail, cure: $cure },)*
                    $($(Self::$elsewhere => $file::causes(self),)+)*
                }
            }
        }
    };
}

// A row has four texts: when it is returned; the usual causes; what `detail` says; the cure. An arrow names the rows of another file.
causes! {
    BadFraming {
        "Two readers could split the request differently, or it is not valid HTTP (RFC 9112 §6, RFC 9110 §8.6)."
        "A client or proxy that sends `Content-Length` and `Transfer-Encoding` together, no or two `Host` headers, or a body with GET. TLS spoken to a plain HTTP port, or the reverse. An attack."
        "The header that is invalid or repeated, with its value. Where the head could not be read at all it says so, and shows nothing, because nothing in it is certain."
        "Fix the client or the proxy in front of the gateway. If all requests fail: compare http and https of the client's URL with the listener (`listen[].tls`, `listen[].plain_http`), and `listen[].proxy_protocol` with what the load balancer sends."
    }
    ConnectionOption {
        "`Connection` names a field that the gateway reads or forwards (RFC 9110 §7.6.1)."
        "An attack, or a proxy that lists end-to-end headers in `Connection`."
        "The field."
        "Remove the field's name from `Connection` where it is added."
    }
    HeaderRepeated {
        "A header that the resource passes on was sent with different values."
        "A proxy that adds a header which the client sends too."
        "The header."
        "Let only one of them send it, or remove it from `resources[].upstream.pass_headers`."
    }
    AmbiguousQuery {
        "The client's query repeats a parameter of the upstream's URL."
        "`resources[].query` is `pass`, and a client sends a parameter that the URL in `resources[].upstream` has too."
        "The parameter."
        "Let clients leave the parameter out, remove it from `resources[].upstream`, or set `resources[].query` to `drop`."
    }
    AmbiguousPath {
        "The target has dot segments, empty segments, needless escapes, a semicolon, a fragment or an unusual form."
        "A base URL with a slash at its end that was joined to a path with one at its beginning (`//`). A client that does not resolve `..`. An attack."
        "The part of the target."
        "Fix the URL in the client. The gateway does not normalise paths."
    }
    HeadersTooLarge {
        "The header block is larger than allowed."
        "Cookies of the whole domain, or a very large token."
        "The limit that was exceeded."
        "Do not send cookies to the gateway, or raise `limits.header_bytes` or `limits.header_fields`."
    }
    HeaderDeadline {
        "The header block did not arrive in time."
        "A slow or broken network, or a client that holds connections open on purpose."
        "The deadline."
        "Raise `timeouts.header` if honest clients are that slow."
    }
    Host {
        "The host that the request names is not served here."
        "Clients use another name or port than `public_url`: an alias, an IP address, or the internal name of a service. A proxy that replaces `Host`. DNS rebinding."
        "The host that was sent, and the hosts that are served."
        "Add the name to `hosts`, correct `public_url`, or let the proxy pass `Host` on."
    }
    Misdirected {
        "The TLS connection was opened for another host than the request names (RFC 9110 §15.5.20)."
        "A client that uses one connection for several hosts, because one certificate covers them. Clients try again on a new connection."
        "The name in the TLS handshake, and the host of the request."
        "Nothing, if clients try again. Otherwise give each host a certificate of its own (`listen[].tls.certificates`)."
    }
    MethodNotAllowed {
        "The HTTP method is not used by an MCP transport, or not by the listed protocol versions."
        "PUT or PATCH. OPTIONS without CORS headers. GET or DELETE where `resources[].protocol_versions` lists only revisions since 2026-07-28, which have only POST."
        "The method, and the methods that are accepted."
        "Fix the client. For clients of older revisions, list one in `resources[].protocol_versions`."
    }
    NotFound {
        "No resource and no document has this path."
        "A typing error in the client's URL. A proxy that removes or adds a prefix. A client that looks for metadata that the gateway does not serve, which is harmless."
        "The host, and the paths of its resources."
        "Correct the client's URL, `resources[].path` or `resources[].host`, or the proxy's prefix."
    }
    Origin {
        "The `Origin` of the web page that sent the request is not allowed."
        "A client in a browser or an extension whose origin is not listed. DNS rebinding."
        "The `Origin` that was sent, and the accepted ones."
        "Add it to `origins`, if you trust that page."
    }
    TooManyRefusals {
        "Too many invalid tokens came from this address, or tokens whose keys are unknown; or, at the built-in authorization server, too many wrong secrets, codes and tokens, which are counted apart. Tokens that were verified before and valid API keys are still accepted."
        "One broken client behind a shared address (NAT, a proxy that is not trusted). An attack."
        "The limit."
        "Look at earlier lines with the same `client` for the first reason. If the address is that of a proxy, list it in `trusted_proxies`. Otherwise raise `limits.refusals_per_address` (`authorization_server.limits.refusals_per_address`), or list the address in `limits.exempt_addresses`."
    }

    NoCredentials {
        "The request has no `Authorization` header."
        "Ordinary: the first request of every client, which learns from the answer where to get a token. If it never stops: a client without OAuth, a client that cannot reach the metadata, or a proxy that removes `Authorization`."
        "That there is none."
        "If it never stops: let the client open the `resource_metadata` URL of the `WWW-Authenticate` header, and compare `public_url` with the URL that clients use. Let proxies pass `Authorization` on."
    }
    UnsupportedScheme {
        "`Authorization` has another scheme than Bearer."
        "A client with a password or an API key (`Basic`), or with DPoP. A token without `Bearer` before it."
        "The scheme, if it is a known one. An unknown word may be the token, so it is not shown."
        "Send `Authorization: Bearer TOKEN`."
    }
    MultipleCredentials {
        "There is more than one set of credentials."
        "A proxy that adds an `Authorization` header to the client's. Two headers joined by a comma."
        "How many headers there are, or the comma."
        "Remove one of them. Credentials for the gateway's proxy belong in `Proxy-Authorization`."
    }
    TokenInQuery {
        "The URL has `access_token` (OAuth 2.1 §5.1 forbids it)."
        "An old client. The token is now in the logs of every proxy on the way."
        "That the query has it, without its value."
        "Send the token in `Authorization`, and revoke the one that was in the URL."
    }
    MalformedCredentials {
        "The `Authorization` header has no well-formed Bearer token."
        "A variable that is empty or was not replaced (`Bearer ${TOKEN}`). Quotes, a line break or a second word in the token. `Bearer:` with a colon."
        "What is missing, or the character that no token has and its position. Never the token."
        "Fix how the client builds the header."
    }
    TokenTooLarge {
        "The token is larger than allowed."
        "A token with hundreds of groups or roles."
        "The size and the limit."
        "Let the provider leave groups out of the token, or raise `limits.token_bytes` (and `limits.header_bytes`)."
    }
    MalformedToken {
        "The token is not a signed JWT in strict form, or a claim has another type than its specification requires."
        "An opaque token: the provider issues those unless an API or audience is requested (Auth0, Google). An encrypted token (JWE). A token that was cut."
        "The part or claim: how many parts, header, payload or signature, the member and its type."
        "Configure the provider to issue JWT access tokens for this resource, with claims of the specified types, or let the gateway ask it (`issuers.*.introspection`)."
    }
    AlgNotAllowed {
        "The token's signature algorithm is not accepted."
        "The provider signs with a shared secret (`HS256`), or with an algorithm that `issuers.*.algorithms` does not list. `none` is an attack."
        "The `alg` found, and the accepted ones."
        "Let the provider sign with an asymmetric algorithm, such as RS256 or ES256, or list its algorithm in `issuers.*.algorithms`."
    }
    AlgKeyMismatch {
        "The issuer has a key with the token's key id, but not for the token's algorithm."
        "A key set whose `alg` differs from what the provider signs with. An attack that exchanges the algorithm."
        "`kid` and `alg` of the token."
        "Correct the key set of the provider (`alg` of the key)."
    }
    UnknownKey {
        "No key of the issuer matches the token, also after its keys were fetched again."
        "A token of another environment with the same `iss`. A file with an old key set (`issuers.*.jwks_file`). Several keys, and a token without `kid`. A forged token."
        "`kid` and `alg` of the token, how many keys of the issuer are usable, and their ids."
        "Compare `kid` with the provider's key set. Renew `issuers.*.jwks_file`, or correct `issuers.*.jwks_uri`. Keys that cannot be used are named in the log when the key set is read."
    }
    UnknownKeyPending {
        "No key of the issuer matches the token, and its keys could not be fetched again yet. Never 401, because clients discard their tokens on 401."
        "The provider just exchanged its keys. Its key set cannot be reached, or answers later than `jwks.wait`. Somebody sends tokens with random key ids, and the next fetch must wait for `jwks.cool_down`."
        "`kid` and `alg` of the token, how many keys of the issuer are usable, and their ids."
        "Look for `key set (JWKS) fetch failed` in the log. Otherwise it ends by itself after `jwks.cool_down`."
    }
    BadSignature {
        "The signature is not valid."
        "A token that was altered or cut. Another environment whose keys have the same ids. An old key set. An attack."
        "`kid` and `alg` of the token."
        "Get a new token. If all fail: compare `issuers.*.jwks_uri` or `issuers.*.jwks_file` with the environment that issues the tokens."
    }
    HeaderNotAllowed {
        "The token's header has a parameter that the gateway does not accept."
        "A provider that writes `x5c`, `jku`, `x5u` or `jwk` into every token. `crit`, `b64` and `zip` change what a token means."
        "The parameter, and the ignored ones."
        "For `x5c`, `jku`, `x5u` and `jwk`: list it in `issuers.*.ignored_headers`. The others are never accepted."
    }
    WrongTokenType {
        "`typ` is not that of an access token, or a claim shows that it is another kind of token."
        "Most providers send `JWT` in access tokens, and RFC 9068 wants `at+jwt`. A client that sends its ID token."
        "The `typ` found and the accepted ones, or the claim that access tokens do not have."
        "Add `JWT` to `issuers.*.token_types` if the provider's access tokens have it. Let the client send the access token, not the ID token."
    }
    MissingClaim {
        "`iss`, `aud`, `exp` or the subject claim is missing or empty."
        "A token of a client without a user (client credentials) has no `sub`. A provider that sets no `aud` without an API or `resource` parameter."
        "The claims that are missing, the required ones, and the names of the claims that the token has."
        "Configure the provider to set the claim. For the subject, `issuers.*.subject_claim` can name another claim."
    }
    WrongIssuer {
        "The resource does not accept the token's issuer."
        "A slash at the end of `iss` or not, http instead of https, another tenant or realm, version 1.0 tokens of Entra (`https://sts.windows.net/…`)."
        "The `iss` found, and the accepted ones."
        "Write `iss` exactly as in the token into `issuers.*.issuer`, and list that issuer in `resources[].issuers`."
    }
    WrongKeyIssuer {
        "The key set says that the key belongs to another issuer than the token (`issuer` of the key)."
        "A key set that several issuers share, such as the one of Entra for all tenants. A token that another tenant's issuer forged or copied."
        "The key id, the issuer of the key, and the accepted ones."
        "List the issuer of the token in `issuers.*.issuer`, or use the key set of the tenant (`issuers.*.jwks_uri`)."
    }
    WrongTenant {
        "`tid` does not name the tenant that `iss` names, for an issuer with `issuers.*.tenants`."
        "An attack, or an identity provider that writes `tid` in another way."
        "`tid` and `iss` of the token."
        "Check what the identity provider writes into `tid`. Without `issuers.*.tenants`, `tid` is not compared."
    }
    WrongAudience {
        "The token is for another audience, or the API key for other resources."
        "The client did not send the `resource` parameter (RFC 8707), or the provider ignores it and writes a client id or an API name into `aud`."
        "The audiences found, and the accepted ones; for an API key its name and its resources."
        "Configure the provider to issue tokens for the resource URI. If it cannot: add the value that it writes to `resources[].audience`. For an API key: make one for this resource."
    }
    Expired {
        "`exp` has passed, or the API key has expired."
        "Ordinary: clients then use their refresh token. If it never stops: no refresh token, a clock that is wrong, or a token that was copied into a configuration file. Also for a call that still waited when its token expired."
        "`exp`, since when it has passed, and the allowed clock difference."
        "Check the clocks (NTP). `issuers.*.clock_skew` allows a difference. `timeouts.max_after_expiry` says how long a call may continue after its token expired. For an API key: make another one."
    }
    TokenRevoked {
        "The token of `authorization_server` is not expired, but its grant has ended. Open listening streams of the grant end too."
        "The client or the operator revoked the grant. A code or an old refresh token of it was used a second time, perhaps by somebody who stole it."
        "The id of the grant (`grant` of the token). The audit log says when and why it ended."
        "Let the user sign in again. If grants end without being revoked: look for a client that uses one refresh token in several places, and see `authorization_server.lifetimes.refresh_grace`."
    }
    NotYetValid {
        "`nbf` or `iat` is in the future."
        "The clock of the gateway or of the provider is wrong."
        "`nbf` or `iat`, how far it is ahead, and the allowed clock difference."
        "Correct the clocks (NTP), or raise `issuers.*.clock_skew`."
    }
    LifetimeTooLong {
        "The token is valid for longer than the issuer's tokens may be."
        "A personal access token, or a provider with very long lifetimes."
        "The lifetime, and the longest that is accepted."
        "Shorten the lifetime at the provider, or raise `issuers.*.max_lifetime`."
    }
    SenderConstrained {
        "The token is bound to its sender in a way that the gateway cannot verify (`cnf`), or that the resource does not accept: it refuses that way, or requires the other one."
        "The provider binds tokens for this client or API. A token that is bound to a certificate where `dpop` is require, or one that is bound to a key where `mutual_tls` is."
        "The members of `cnf`."
        "Set `resources[].sender_constraint.dpop` and `resources[].sender_constraint.mutual_tls`, or switch bound tokens off for this client or API at the provider."
    }
    UnusableSubject {
        "The subject, or another identity of the caller, is too long to be sent to the MCP server in a header, alone or in an assertion."
        "A subject claim with a long text, such as a distinguished name."
        "The claim or the header, its length, and the longest that is accepted."
        "Choose another claim in `issuers.*.subject_claim`, or switch the header off in `resources[].identity_headers` or `resources[].upstream.assertion`."
    }
    MalformedApiKey {
        "It begins like an API key of the gateway (`mgw_`) and is none, or the header for API keys has something else."
        "A key that was copied without its end, or with a typing error. A token of an issuer in the header for API keys."
        "The number of characters, or that the checksum does not match. Nothing of the key."
        "Copy the whole key: 40 characters. Nobody can see it a second time: if it is lost, make another one with `mcp-gateway key new`, and remove the old one."
    }
    UnknownApiKey {
        "No key file has the API key."
        "It was removed, or it was made for a file that this gateway does not read. The reload that would have read the file was rejected. An attack."
        "The beginning of the key's SHA-256, as the key file writes it, and how many keys there are."
        "Look for that digest in the files of `api_keys.files`. If it is there: look for `configuration reload rejected` in the log. Otherwise make a key with `mcp-gateway key new`."
    }
    ApiKeysNotAccepted {
        "The resource does not accept API keys."
        "A key sent to another resource than those it is for."
        "That the resource does not accept them, and the name of the key if it is known."
        "Send it to a resource that accepts API keys, or add `resources[].api_keys`."
    }
    KeysUnavailable {
        "The issuer's keys are unavailable, so no token can be verified. Never 401, because clients discard their tokens on 401."
        "The provider or its DNS name cannot be reached from here. A certificate that is not trusted (`issuers.*.ca_file`). A wrong `issuers.*.issuer`, so that discovery fails. The keys are older than `jwks.stale`."
        "The issuer."
        "Look at `/readyz`, and for `key set (JWKS) fetch failed` in the log: it has the URL and the error."
    }

    BodyTooLarge {
        "The body is larger than allowed."
        "A file or image in the arguments of a call."
        "The limit, and the announced length."
        "Raise `limits.body_bytes` (and `limits.bodies_bytes`)."
    }
    BodiesTooLarge {
        "All bodies in memory together are at their limit."
        "Many large uploads at once, or slow ones."
        "The limit."
        "Raise `limits.bodies_bytes` if there is memory, lower `timeouts.body_total`, or add replicas."
    }
    PrincipalBodiesTooLarge {
        "The bodies of one subject are at their limit."
        "One caller with many large uploads at once."
        "The limit."
        "Let the client send fewer at once, or raise `limits.bodies_bytes_per_principal`."
    }
    AddressBodiesTooLarge {
        "The bodies from one client address are at their limit."
        "Many callers behind one address, such as a proxy that is not listed in `trusted_proxies`."
        "The limit."
        "List the proxy in `trusted_proxies`, or raise `limits.bodies_bytes_per_address`."
    }
    BodyTimeout {
        "The body did not arrive in time."
        "A slow network. A client that announces more than it sends."
        "The deadline."
        "Raise `timeouts.body_idle` or `timeouts.body_total`."
    }
    UnsupportedMediaType {
        "The body is not `application/json`, or it is compressed."
        "A client without `Content-Type`, or with `text/plain` or another charset. A client or proxy that compresses requests."
        "`Content-Type` or `Content-Encoding` as it was sent, and what is accepted."
        "Send `Content-Type: application/json`, and no `Content-Encoding`."
    }
    ParseError {
        "The body is not one JSON document."
        "A client that joins two messages, sends a form or nothing, or writes a byte order mark."
        "What is wrong, with line and column."
        "Fix the client."
    }
    JsonLimit {
        "The message is nested more deeply than `limits.json_depth`, or has more than `limits.json_members` members and elements, or more than 1 MiB of member names with escapes."
        "A tool with large structured arguments. An attack on the memory or the time of readers."
        "The limit, its value and its key."
        "Raise `limits.json_depth` or `limits.json_members`, or send the data as text."
    }
    AmbiguousJson {
        "Member names are repeated or look alike (`method` and `Method`), so two readers could read different messages."
        "A client that writes a member twice. A tool with arguments that differ in their case only. An attack."
        "The names."
        "Fix the client, or rename the arguments of the tool."
    }
    InvalidRequest {
        "The body is not one JSON-RPC request, notification or response, or its params do not have the form that MCP requires."
        "A batch (removed from MCP in 2025-06-18). `id: null`. A tool call without a name. Params that are a list."
        "The member, what it is, and what is expected."
        "Fix the client."
    }
    VersionMissing {
        "The headers say a revision since 2026-07-28, and `_meta` of the request has no protocol version."
        "A client of two eras that sends a new version header with old messages."
        "What `_meta` has, and the version in the header."
        "Update the client."
    }
    HeaderMismatch {
        "`MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name` or `Mcp-Param-*` is missing, repeated, or differs from the body (MCP 2026-07-28)."
        "A client that forgets a header. A proxy that removes, repeats or rewrites headers. An attack on a proxy that decides by headers."
        "The header with both values; for `Mcp-Param-*` only its name."
        "Fix the client or the proxy."
    }
    UnsupportedVersion {
        "The resource does not list the protocol version."
        "A client that is newer or older than `resources[].protocol_versions`. Clients of both eras try again with a listed version."
        "The version found, and the listed ones."
        "Add the version to `resources[].protocol_versions`, if the MCP server supports it."
    }
    LegacyOnly {
        "The same, where only revisions up to 2025-11-25 are listed. Clients then fall back to `initialize`."
        "A client of 2026-07-28 or later, which tries the new protocol first. Harmless if it goes on with `initialize`."
        "The version found, and the listed ones."
        "Nothing, or list a modern revision in `resources[].protocol_versions`, if the MCP server supports it."
    }
    AmbiguousUri {
        "Programs could read the resource URI in more than one way, and rules of the policy name URIs."
        "Dot segments, encoded control characters, or a text that no URL parser reads."
        "What is wrong with the URI."
        "Let the client send the plain form of the URI."
    }
    AmbiguousName {
        "The name of a method, tool, prompt, resource or task has a control character, or a method has white space."
        "A client that does not trim a line break or a space. An attack that hides a part of a name."
        "The place, the character and its position."
        "Fix the client, or rename the tool."
    }
    RequestState {
        "The request state belongs to another caller or call, was altered, has expired, or is unknown (MCP 2026-07-28)."
        "A client that answers later than `timeouts.request_state`, or changes the call. A restart without `sessions.key_files`, or replicas with different keys."
        "What can be said without knowing the owner: not sealed here, sealed with another key, or sealed for another call, another caller, or too long ago."
        "Let the client start the call again. Set `sessions.key_files`, the same for all replicas."
    }

    InsufficientScope {
        "The token lacks a scope that the call requires. The client can get a token with it (step-up)."
        "Ordinary, where a client asks for more when it needs more. If it never stops: the provider does not grant the scope, or names it differently."
        "What requires it (the rule, or `scopes.required`), and the missing scopes."
        "Grant the scope at the provider, or change `resources[].policy.rules[].scopes` or `resources[].scopes.required`. `check --explain` shows which rule decides."
    }
    PolicyDenied {
        "The policy denies the call, whatever scopes the token has."
        "A rule denies it, a rule allows it to other callers only, or no rule matches and `resources[].policy.default` is `deny`."
        "The rule or the default that decided, and which part of the rule the caller does not meet."
        "`check --explain` shows every rule that was evaluated. Change `resources[].policy.rules`, or `resources[].policy.default`."
    }
    ConditionFailed {
        "A condition of the policy could not be evaluated, so the call is denied."
        "The condition reads a claim or an argument that is absent or of another type, or an unknown client address."
        "The rule, and what went wrong."
        "Write the condition so that it holds without the claim, such as `has(claims.department) && claims.department == \"ops\"` (`resources[].policy.rules[].condition`)."
    }
    ArgumentUnreadable {
        "An argument that a rule names cannot be judged, so the call is denied."
        "It has another type than the rule compares it with, is not Unicode text, or is too long."
        "The rule, the argument and why. Never its value."
        "Fix the client, or the values of `resources[].policy.rules[].arguments`."
    }
    TasksRefused {
        "The call uses a task, and the resource does not serve tasks."
        "`resources[].tasks` is `refuse`, which is the default."
        "The setting."
        "Set `resources[].tasks` to `seal`, or to `upstream` if the MCP server binds tasks to callers itself."
    }
    TasksMethod {
        "A method on tasks that names no single task, or that does not exist in the revision."
        "`tasks/list`, where `resources[].tasks` is `seal`: a sealed id belongs to one caller, and a list has those of all."
        "The method."
        "Let the client keep the ids of its tasks."
    }
    TasksUndeclared {
        "A call about a task from a client that does not declare the capability for tasks."
        "A modern client without `io.modelcontextprotocol/tasks` in its capabilities."
        "The capability, and the method."
        "Update the client, or let it declare the capability in `_meta`."
    }
    TaskUnknown {
        "The task id was not sealed by this gateway, or was altered."
        "A restart without `sessions.key_files`, or replicas with different keys. An id of the MCP server itself."
        "What can be said: not sealed here, sealed with another key, or altered."
        "Set `sessions.key_files`, the same for all replicas."
    }
    TaskMismatch {
        "The task id is genuine, and belongs to another caller, resource or MCP server."
        "An id that was shared between users, or between two clients of one user. An attack."
        "That another caller, resource or MCP server owns it."
        "Let each client use its own tasks. If the upstream's URL changed, old ids are void."
    }
    SessionRequired {
        "A response to a request of the server, without the session in which the server sent its request."
        "A client or proxy that loses `Mcp-Session-Id`. An MCP server without sessions that sends requests to clients."
        "That the header is missing."
        "Let the client send `Mcp-Session-Id`, and let proxies pass it on."
    }
    SessionUnknown {
        "The session id was not sealed by this gateway, or was altered."
        "A restart without `sessions.key_files`, or replicas with different keys. An id from before the gateway was set up. Clients open a new session."
        "What can be said: not sealed here, sealed with another key, or altered."
        "Set `sessions.key_files`, the same for all replicas."
    }
    SessionMismatch {
        "The session id is genuine, and belongs to another caller, resource or MCP server."
        "A client that continues a session with the token of another user or of another client. The URL in `resources[].upstream` was changed. An attack."
        "That another caller, resource or MCP server owns it."
        "Let the client open a new session when its user changes."
    }
    RateLimited {
        "More calls than a rate limit grants."
        "A client in a loop. A limit that is too low for agents. Many sessions opened in a short time."
        "The limit that counted the call."
        "Raise `resources[].rate_limits[].calls` or `resources[].rate_limits[].burst`; for sessions `limits.initializations_per_principal`."
    }
    RateLimitsExhausted {
        "No more callers can be counted for rate limits."
        "More callers at once than expected, or clients that register again and again."
        "The limit."
        "Raise `limits.rate_limited_callers`."
    }
    RateLimitStoreUnavailable {
        "The store in which replicas count rate limits together does not answer."
        "The store is down, slow or full, or the network to it is."
        "What the store or the connection said."
        "Repair the store. Where `rate_limits.without_store` is open, each replica counts for itself meanwhile."
    }
    TooManyCalls {
        "The caller's subject has too many calls in flight."
        "A client that starts many calls at once, or an MCP server that is slow."
        "The limit, and its key."
        "Raise `limits.calls_per_principal`, or look at the MCP server."
    }
    CallsExhausted {
        "All callers together have too many calls in flight."
        "An MCP server that is slow or hangs. Too few file descriptors: the default follows from them."
        "The limit, and its key."
        "Look at the MCP server. Raise `limits.calls`, and the limit of file descriptors (`ulimit -n`). `resources[].upstream.http2` lets calls share connections."
    }
    TooManyStreams {
        "The caller has too many listening streams open."
        "A client that opens streams and does not close them. Many windows of one user."
        "The limit, and its key."
        "Raise `limits.listening_streams_per_principal`."
    }
    StreamsExhausted {
        "All callers together have too many listening streams open."
        "More clients than expected. Too few file descriptors: the default follows from them."
        "The limit, and its key."
        "Raise `limits.listening_streams`, and the limit of file descriptors (`ulimit -n`)."
    }

    UpstreamUnreachable {
        "There is no connection to the MCP server."
        "It is down, listens on another address or port, or its name does not resolve. Its certificate is not trusted, is for another name, or has another key than `resources[].upstream.pins`."
        "The error of the connection; of a certificate, what was found and what was expected."
        "Check `resources[].upstream.url` from the machine of the gateway. For a private CA, set `resources[].upstream.ca_file`; for a certificate with another name, `resources[].upstream.server_name`."
    }
    UpstreamTimeout {
        "The MCP server did not begin its answer in time."
        "A slow tool that answers only at its end. A server that hangs."
        "The deadline. `upstream_ms` has the time."
        "Raise `timeouts.response_head` or `resources[].response_head`, or let the server answer with an event stream."
    }
    UpstreamBroken {
        "The connection to the MCP server closed before its response head, or the answer is not HTTP or not one that clients can get."
        "The server crashed or restarted. A server that speaks HTTP/1.1 only with `resources[].upstream.http2`. A redirect. A server that requires a client certificate (`resources[].upstream.certificate_file`)."
        "The error of the connection."
        "Look at the log of the MCP server. Compare `resources[].upstream.url` with its real endpoint."
    }
    UpstreamAuth {
        "The MCP server, or a proxy before it, answered 401 or 407: it requires credentials of its own. The caller's token is never forwarded."
        "An MCP server that verifies tokens itself, or wants an API key. A token of `resources[].upstream.credentials` with the wrong audience or scopes."
        "The status."
        "Switch authentication off in the MCP server, and let only the gateway reach it; or send its credentials (`resources[].upstream.credentials`, `resources[].upstream.headers`)."
    }
    UpstreamRedirect {
        "The MCP server answered with a redirect. The gateway does not follow it."
        "An application that is mounted at another path, often with a final slash (Starlette, FastMCP), or redirects http to https."
        "The status, the `Location`, and the URL to configure."
        "Write the URL that the log names into `resources[].upstream`."
    }
    UpstreamEncoding {
        "The body of the MCP server's answer has a content coding that cannot be decoded, or is not in the coding that it names."
        "A server or proxy that compresses with `br` or `zstd` although the gateway asks for `identity`."
        "The content coding."
        "Switch compression off in the server, or use gzip."
    }
    UpstreamSession {
        "The MCP server answered with another session id than the one that was sent, or with one that cannot be sealed."
        "A server that opens a new session in the middle of one."
        "What is wrong with the session id."
        "Look at the log of the MCP server."
    }
    AnswerTooLarge {
        "An answer that must be read whole is larger than allowed."
        "A very long list of tools or resources, where lists are filtered (`resources[].policy.hide`) or ids sealed."
        "The limit."
        "Raise `limits.answer_bytes`, or let the server page its lists."
    }
    AnswerUnreadable {
        "An answer that must be read is not JSON-RPC in a form that every client reads alike."
        "A server or a proxy before it that compresses answers, or answers with HTML."
        "What is wrong with the answer."
        "Let the server answer with plain JSON or an event stream."
    }
    Internal {
        "A defect of the gateway."
        "None that is known."
        "Usually nothing."
        "Please report it, with the access line."
    }
    => transport { SessionEnded UpstreamStream UpstreamEndpoint EndpointOrigin }
    => credentials { TooManyExchanges ExchangesExhausted UpstreamCredentialRefused UpstreamCredentialUnavailable AssertionWithdrawn }
    => asked { TokenInactive IntrospectionUnavailable IntrospectionBusy QuestionUnreadable DecisionPointDenied TooManyQuestions DecisionPointUnavailable }
    => endpoints { NoEndpoint EndpointsBusy }
    => sender {
        BoundTokenAsBearer UnboundToken CertificateMissing OtherCertificate ClientCertHeader DpopOtherKey InvalidDpopProof DpopProofMismatch DpopProofTime DpopProofReplayed
        DpopNonceRequired TooManyDpopProofs DpopProofsExhausted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_made_of_sentences_for_one_line_of_markdown() {
        for reason in Reason::ALL {
            let Causes {
                when,
                causes,
                detail,
                cure,
            } = reason.causes();
            for text in [when, causes, detail, cure] {
                assert!(text.ends_with('.'), "{reason:?}: {text}");
                assert!(!text.contains(['\n', '|', '<']), "{reason:?}: {text}");
                assert_eq!(text.matches('`').count() % 2, 0, "{reason:?}: {text}");
            }
        }
    }
}
