//! Providers that people sign in with.

use mcp_gateway_core::{
    cel::Condition,
    scope::ScopeSet,
    token::{
        claim_path::ClaimPath,
        issuer_template::{TENANT, for_tenant, is_tenant_id},
    },
};
use mcp_gateway_oauth::federation::{
    preset::{DomainClaim, Preset},
    provider::Provider,
    rules::{
        may_sign_in::MaySignIn,
        scope_rules::{ScopeRules, ScopesByClaim},
    },
};

use super::{
    clients::{scopes, secret_file},
    compared::Items,
};
use crate::config::{
    authorization_server::providers::{ConfiguredProvider, ProviderProof},
    check::{
        common::{ca_file, quoted, without_repeats},
        issuers::{claim, is_name, refuse_no_issuer},
        policy::condition,
    },
    declaration::authorization_server::providers::{PRESET, REFRESH, UNANNOUNCED_PKCE},
    files,
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// The most providers.
const MAX_PROVIDERS: usize = 16;

/// The longest name of a provider and the longest label, in characters.
const MAX_NAME: usize = 32;

/// The longest client id and scope, in bytes.
const MAX_TEXT: usize = 256;

const ISSUER_FORM: &str =
    "Write the issuer of the provider's metadata, such as https://login.example.com";

/// Where anybody can have an account, whatever the preset: of Google, Apple, GitLab and Microsoft's own tenant of personal accounts.
const OPEN_TO_EVERYBODY: [&str; 4] = [
    "https://accounts.google.com",
    "https://appleid.apple.com",
    "https://gitlab.com",
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
];

const TENANT_FORM: &str =
    "Write the Directory (tenant) ID, such as 0f3c1a7e-5b2d-4c6e-9a41-7d2f8e6b5c10";

/// Reads `providers`.
pub(super) fn providers<'a>(
    section: &Section<'a>,
    compared: &mut Items<'a>,
) -> Vec<ConfiguredProvider> {
    let mut unique: Vec<ConfiguredProvider> = Vec::new();
    for item in section.list("providers") {
        let section = item.section();
        let read = provider(&section, compared);
        section.finish();
        let Some(read) = read else { continue };
        if unique
            .iter()
            .any(|other| other.provider.name == read.provider.name)
        {
            item.report("same name as another provider", "Use another name");
        } else if unique.len() == MAX_PROVIDERS {
            item.report(
                format_args!("too many providers: at most {MAX_PROVIDERS}"),
                "Remove some",
            );
        } else {
            unique.push(read);
        }
    }
    unique
}

fn provider<'a>(section: &Section<'a>, compared: &mut Items<'a>) -> Option<ConfiguredProvider> {
    let name = section
        .required("name", "Write a name, such as corporate")
        .and_then(|item| name(&item));
    let preset = PRESET.read(section);
    let tenants = tenants(section, preset);
    let issuer = issuer(section, preset, &tenants);
    let client_id = section
        .required("client_id", "Write the client id that the provider gave")
        .and_then(|item| text(&item));
    let proof = proof(section, preset);
    let groups_claim = match section.get("groups_claim") {
        Some(item) => claim(&item),
        None => preset.row().groups_claim.map(ClaimPath::named),
    };
    let has_strangers = preset.row().has_strangers
        || issuer
            .as_deref()
            .is_some_and(|issuer| OPEN_TO_EVERYBODY.contains(&issuer.trim_end_matches('/')));
    let may_sign_in = may_sign_in(section, (preset, has_strangers), groups_claim.as_ref());
    let scope_rules = grants(section, compared);
    let label = label(section, preset);
    let asked = asked(section, preset);
    let api_url = api_url(section, preset);
    let refresh = REFRESH.read(section);
    let unannounced = UNANNOUNCED_PKCE.read(section);
    let ca_file = ca_file(section, "ca_file");
    let provider = Provider {
        name: name?,
        preset,
        label,
        issuer: issuer?,
        tenants,
        client_id: client_id?,
        scopes: asked,
        groups_claim,
        may_sign_in,
        scope_rules,
        refresh,
        announces_pkce: preset.row().announces_pkce && !unannounced,
    };
    Some(ConfiguredProvider {
        provider,
        proof: proof?,
        api_url,
        ca_file,
    })
}

fn name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if !is_name(&name) || name.len() > MAX_NAME {
        item.report(
            format_args!(
                "names of providers must have only letters, digits, - and _, at most {MAX_NAME}"
            ),
            "Rename the provider: its name is in the redirect URI",
        );
    }
    Some(name)
}

fn text(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    if text.len() > MAX_TEXT || !text.chars().all(|c| c.is_ascii_graphic()) {
        item.report(
            format_args!("must have only ASCII characters, without spaces, and at most {MAX_TEXT}"),
            "Copy it from the provider",
        );
    }
    Some(text)
}

fn tenants(section: &Section<'_>, preset: Preset) -> Vec<String> {
    let listed = section
        .one_or_many("tenants")
        .into_iter()
        .filter_map(|item| {
            let tenant = item.text()?;
            if matches!(&*tenant, "common" | "organizations" | "consumers") {
                item.report(
                    format_args!(
                        "{tenant} stands for the tenants of everybody, which are not trusted"
                    ),
                    TENANT_FORM,
                );
            } else if !is_tenant_id(&tenant) {
                item.report(
                    "must be the id of a tenant: a UUID in lower case",
                    TENANT_FORM,
                );
            }
            Some((item, tenant))
        });
    let listed = without_repeats(listed.collect());
    section.refuse_vacant(
        &["tenants"],
        "List the ids of the tenants, or remove the key",
    );
    let is_missing = section.raw("tenants").is_none() && section.get("issuer").is_none();
    if is_missing && preset == Preset::Entra {
        section.report_at("tenants", "required for entra", TENANT_FORM);
    }
    listed
}

/// The issuer; with tenants a template.
fn issuer(section: &Section<'_>, preset: Preset, tenants: &[String]) -> Option<String> {
    let Some(item) = section.get("issuer") else {
        let known = preset.row().issuer.map(str::to_owned);
        if known.is_none() {
            section.report_at("issuer", "required for this `preset`", ISSUER_FORM);
        }
        return known;
    };
    let issuer = item.text()?;
    // Braces are no characters of URLs.
    let plain = for_tenant(&issuer, "tenant");
    match HttpUrl::without_query(&plain) {
        Err(error) => item.report(error, ISSUER_FORM),
        Ok(url) if url.is_exposed() => item.report(
            "must be https: plain HTTP exposes codes and tokens to the network",
            ISSUER_FORM,
        ),
        Ok(_) if issuer.contains(TENANT) == tenants.is_empty() => item.report(
            "`tenants` needs {tenantid} in the issuer, and {tenantid} needs `tenants`",
            "Write both, or neither",
        ),
        Ok(_) if preset == Preset::Auth0 && !issuer.ends_with('/') => item.report(
            "must end with a slash: the issuer of Auth0 does",
            "Add the slash, as in https://example.eu.auth0.com/",
        ),
        Ok(url) => refuse_no_issuer(&item, &url),
    }
    Some(issuer)
}

/// The secret or the key, one of the two.
fn proof(section: &Section<'_>, preset: Preset) -> Option<ProviderProof> {
    let (secret, key) = (
        section.get("client_secret_file"),
        section.get("private_key_file"),
    );
    let id = section.get("private_key_id").and_then(|item| text(&item));
    let certificate = section.get("certificate_file").and_then(|item| {
        let path = item.file()?;
        if let Err(error) = files::certificate_digest(&path) {
            item.report_file(
                &path,
                &error,
                "Use a PEM file with the certificate of the key",
            );
        }
        Some(path)
    });
    if key.is_none() && (id.is_some() || certificate.is_some()) {
        section.report_at(
            "private_key_file",
            "required for `private_key_id` and `certificate_file`",
            "Set it, or remove the others",
        );
    }
    match (secret, key) {
        (Some(_), Some(key)) => {
            key.report(
                "cannot be combined with `client_secret_file`",
                "Remove one of the two",
            );
            None
        }
        (None, None) => {
            section.report_at(
                "client_secret_file",
                "required, or `private_key_file`",
                "Use a file with the secret on one line and mode 0640 or stricter",
            );
            None
        }
        (Some(secret), None) => secret_file(&secret).map(ProviderProof::Secret),
        (None, Some(key)) if preset == Preset::GitHub => {
            key.report("GitHub takes no keys", "Use `client_secret_file`");
            None
        }
        (None, Some(key)) => {
            let file = key.file()?;
            if let Err(error) = files::client_key(&file) {
                key.report_file(
                    &file,
                    &error,
                    "Use a PEM file with a PKCS #8 key (openssl genpkey) and mode 0640 or stricter",
                );
            }
            Some(ProviderProof::Key {
                file,
                id,
                certificate,
            })
        }
    }
}

fn may_sign_in(
    section: &Section<'_>,
    (preset, has_strangers): (Preset, bool),
    groups_claim: Option<&ClaimPath>,
) -> MaySignIn {
    section.refuse_vacant(
        &["may_sign_in"],
        "Write who can sign in below it. Without the key, everybody with an account there can",
    );
    let own = section.section("may_sign_in");
    let lists = ["domains", "subjects", "organizations", "teams", "groups"];
    own.refuse_vacant(&lists, "List one, or remove the key: then it asks nothing");
    own.refuse_vacant(&["condition"], "Write a condition, or remove the key");
    let lower = |key| {
        let listed = texts(&own, key).into_iter();
        listed
            .map(|text| text.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    let rules = MaySignIn {
        domains: lower("domains"),
        groups: texts(&own, "groups"),
        subjects: texts(&own, "subjects"),
        organizations: lower("organizations"),
        teams: lower("teams"),
        condition: own
            .get("condition")
            .and_then(|item| claims_condition(&item)),
    };
    refuse_useless(&own, &rules, preset, groups_claim);
    own.finish();
    // What is written and cannot be read has a finding of its own.
    if section.raw("may_sign_in").is_none() && has_strangers {
        section.report_at(
            "may_sign_in",
            "required for this provider: everybody has an account there",
            match preset {
                Preset::GitHub => "Set `organizations`, `teams` or `subjects` below it",
                Preset::Google => "Set `domains` below it to the domains of the company",
                _ => "Write who can sign in below it. For Google, use `preset: google`",
            },
        );
    }
    rules
}

/// Rules that no account of this kind of provider can meet.
fn refuse_useless(
    own: &Section<'_>,
    rules: &MaySignIn,
    preset: Preset,
    groups_claim: Option<&ClaimPath>,
) {
    if !rules.domains.is_empty() && preset.row().domain == DomainClaim::None {
        own.report_at(
            "domains",
            "this provider does not verify to whom an address belongs",
            match preset {
                Preset::GitHub => "Use `organizations` or `teams`",
                _ => "Use `tenants`, `groups`, or app roles with `condition`",
            },
        );
    }
    let is_domain = |text: &String| {
        text.chars()
            .all(|character| character.is_alphanumeric() || "-.".contains(character))
    };
    if !rules.domains.iter().all(is_domain) {
        own.report_at(
            "domains",
            "a domain must have only letters, digits, - and .",
            "Write what follows the @, such as example.com",
        );
    }
    if !rules.groups.is_empty() && groups_claim.is_none() {
        own.report_at(
            "groups",
            "this provider has no claim with groups",
            "Set `groups_claim` of the provider, or remove the key",
        );
    }
    for (key, listed) in [
        ("organizations", &rules.organizations),
        ("teams", &rules.teams),
    ] {
        if !listed.is_empty() && preset != Preset::GitHub {
            own.report_at(key, "only for github", "Use `groups`");
        }
    }
    if rules.teams.iter().any(|team| team.split('/').count() != 2) {
        own.report_at(
            "teams",
            "a team must be written as organization/team",
            "Write the organization before it, such as acme/operations",
        );
    }
}

/// A condition over claims: there is no call that it could read.
fn claims_condition(item: &Item<'_>) -> Option<Condition> {
    let condition = condition(item)?;
    if !condition.reads_only_claims() {
        item.report(
            "reads something else than `claims`: there is no call yet",
            "Use only claims, such as claims.department == \"research\"",
        );
    }
    Some(condition)
}

fn grants<'a>(section: &Section<'a>, compared: &mut Items<'a>) -> Option<ScopeRules> {
    section.refuse_vacant(
        &["grants"],
        "Set `scopes` or `by_claim` below it. Without the key, people can allow everything",
    );
    section.get("grants")?;
    let own = section.section("grants");
    own.refuse_vacant(&["by_claim"], "List one, or remove the key");
    let everybody = scopes(&own, compared).unwrap_or_default();
    let by_claim = own.list("by_claim").into_iter().filter_map(|item| {
        let section = item.section();
        let rule = by_claim(&section, compared);
        section.finish();
        rule
    });
    let by_claim = by_claim.collect();
    own.finish();
    Some(ScopeRules {
        everybody,
        by_claim,
    })
}

fn by_claim<'a>(section: &Section<'a>, compared: &mut Items<'a>) -> Option<ScopesByClaim> {
    let named = section
        .required("claim", "Write the name of the claim, such as roles")
        .and_then(|item| claim(&item));
    let value = section
        .required("value", "Write the value of the claim")
        .and_then(|item| item.text());
    if section.raw("scopes").is_none() {
        section.required("scopes", "List the scopes");
    }
    let scopes = scopes(section, compared);
    Some(ScopesByClaim {
        claim: named?,
        value: value?,
        scopes: scopes.filter(|scopes| *scopes != ScopeSet::default())?,
    })
}

fn label(section: &Section<'_>, preset: Preset) -> String {
    let Some(item) = section.get("label") else {
        return preset.row().label.to_owned();
    };
    let label = item.text().unwrap_or_default();
    if label.chars().count() > MAX_NAME || label.chars().any(char::is_control) {
        item.report(
            format_args!("must have at most {MAX_NAME} visible characters"),
            "Write what people call it, such as Example Ltd",
        );
    }
    label
}

/// The scopes that are asked for there.
fn asked(section: &Section<'_>, preset: Preset) -> Vec<String> {
    let listed = section
        .one_or_many("scopes")
        .into_iter()
        .filter_map(|item| {
            let scope = text(&item)?;
            Some((item, scope))
        });
    let listed = without_repeats(listed.collect());
    if listed.is_empty() {
        return preset
            .row()
            .scopes
            .iter()
            .map(|scope| (*scope).to_owned())
            .collect();
    }
    if preset.is_openid() && !listed.iter().any(|scope| scope == "openid") {
        section.report_at(
            "scopes",
            "openid is missing: without it, the provider does not say who signed in",
            "Add openid",
        );
    }
    listed
}

fn api_url(section: &Section<'_>, preset: Preset) -> Option<String> {
    let item = section.get("api_url")?;
    if preset != Preset::GitHub {
        item.report("has no effect with this `preset`", "Remove the key");
    }
    let url = item.parsed(HttpUrl::without_query, "Write the URL of the API")?;
    if url.is_exposed() {
        item.report("must be https", "Write the https URL of the API");
    }
    item.text()
}

fn texts(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let listed = section.one_or_many(key).into_iter().filter_map(|item| {
        let text = item.text()?;
        if text.len() > MAX_TEXT {
            item.report(
                format_args!("`{}` is longer than {MAX_TEXT} bytes", quoted(&text)),
                "Write a shorter one",
            );
        }
        Some((item, text))
    });
    without_repeats(listed.collect())
}
