//! The audit lines of the built-in authorization server: one for each sign-in, consent, registration, token, revocation and refusal.

use super::{
    log_line::{LineBuilder, LogLine},
    redaction::{redact, redact_detail},
};
use crate::telemetry::{authorization_event::AuthorizationEvent, request_view::RequestView};

/// An event with the request that caused it.
pub(crate) struct AuthorizationLine<'a> {
    pub(crate) request: RequestView<'a>,
    pub(crate) event: &'a AuthorizationEvent,
}

impl LogLine for AuthorizationLine<'_> {
    const TARGET: Option<&'static str> = Some("audit");
    const MESSAGE: &'static str = "authorization";
    const IS_WRITTEN_THROUGH: bool = true;

    fn request(&self) -> &RequestView<'_> {
        &self.request
    }

    fn write(&self, line: &mut LineBuilder<'_>) {
        let (event, about) = (self.event, &self.event.about);
        line.leading_field("event", event.kind.label());
        line.leading_field("outcome", event.outcome);
        line.field("grant_type", event.kind.grant_type());
        let reason = event.reason.as_deref().map(redact_detail);
        line.field("reason", reason.as_deref());
        line.field("subject", about.subject.as_deref().map(redact));
        line.field("provider", about.provider.as_deref().map(redact));
        line.field("account", about.account.as_deref().map(redact));
        line.field("name", about.name.as_deref().map(redact));
        line.field("client_id", about.client.as_deref().map(redact));
        line.field("resource", about.resource.as_deref().map(redact));
        line.field("scopes", about.scopes.as_deref().map(redact));
        line.field("grant", about.grant.as_deref().map(redact));
        line.client(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::LogFormat,
        telemetry::{
            authorization_event::{EventKind, EventSubject, GrantKind},
            request_log::log_line::encode,
            request_view::ShownClient,
        },
    };

    fn encoded(format: LogFormat, client: &str) -> String {
        let event = AuthorizationEvent {
            kind: EventKind::Token(GrantKind::RefreshToken),
            outcome: "invalid_grant",
            reason: Some("generation 3; expected 5".to_owned()),
            about: EventSubject {
                client: Some(client.to_owned()),
                scopes: Some("tasks:read tasks:write".to_owned()),
                ..EventSubject::default()
            },
        };
        let line = AuthorizationLine {
            request: RequestView {
                request_id: "r1",
                client: ShownClient::Unknown,
                resource: None,
                endpoint: None,
                principal: None,
                method: None,
                mcp_method: None,
                mcp_name: None,
            },
            event: &event,
        };
        String::from_utf8(encode(format, &line)).unwrap()
    }

    #[test]
    fn a_line_says_what_was_asked_how_it_ended_and_why() {
        let value: serde_json::Value =
            serde_json::from_str(&encoded(LogFormat::Json, "cli")).unwrap();
        for (field, expected) in [
            ("target", "audit"),
            ("message", "authorization"),
            ("event", "token"),
            ("outcome", "invalid_grant"),
            ("grant_type", "refresh_token"),
            ("reason", "generation 3; expected 5"),
            ("client_id", "cli"),
            ("scopes", "tasks:read tasks:write"),
        ] {
            assert_eq!(value[field], expected, "{field}");
        }
        assert!(value.get("subject").is_none());
        let text = encoded(LogFormat::Text, "cli");
        assert!(
            text.contains(" audit token invalid_grant grant_type=refresh_token "),
            "{text}"
        );
    }

    #[test]
    fn the_name_of_a_client_forges_no_line_and_no_field() {
        let hostile = "evil\nevent=sign_in outcome=\u{1b}[31m\u{202e}";
        for format in [LogFormat::Json, LogFormat::Text] {
            let line = encoded(format, hostile);
            assert!(
                !line.contains(['\n', '\u{1b}']) && !line.contains(" event=sign_in"),
                "{line}"
            );
        }
    }
}
