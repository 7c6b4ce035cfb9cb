//! Why a redirect URI is refused: one sentence for each fault, which a client developer can act on.

/// The most bytes of a redirect URI.
pub const MOST_BYTES: usize = 2048;

/// Why a text is not a redirect URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Nothing at all.
    #[error("the redirect URI is empty")]
    Empty,
    /// More than [`MOST_BYTES`].
    #[error("the redirect URI is longer than {MOST_BYTES} bytes")]
    TooLong,
    /// A control character.
    #[error("the redirect URI has a control character")]
    Control,
    /// A blank.
    #[error("the redirect URI has a blank")]
    Blank,
    /// A backslash. Browsers read a slash.
    #[error("the redirect URI has a backslash")]
    Backslash,
    /// A character outside ASCII.
    #[error(
        "the redirect URI has the character {0:?}, which is not ASCII: write a host name as `xn--…`, and other text percent-encoded"
    )]
    NotAscii(char),
    /// A character that no URI has (RFC 3986 §2).
    #[error("the redirect URI has the character {0:?}, which must be percent-encoded")]
    Character(char),
    /// A wildcard.
    #[error(
        "the redirect URI has a `*`: there are no wildcards, register each redirect URI in full"
    )]
    Wildcard,

    /// It is relative.
    #[error("the redirect URI has no scheme")]
    NoScheme,
    /// The scheme has capital letters.
    #[error("the scheme {0:?} of the redirect URI has capital letters")]
    SchemeCase(String),
    /// A scheme that runs code, reads files or is no place to return to. It cannot be listed.
    #[error("the scheme {0:?} is never allowed in a redirect URI")]
    SchemeForbidden(String),
    /// A private-use scheme that looks like `http` or `https`. It cannot be listed.
    #[error("the scheme {0:?} of the redirect URI looks like http or https")]
    SchemeLooksLikeWeb(String),
    /// A scheme that is not listed.
    #[error(
        "the scheme {0:?} of the redirect URI is not allowed: use https, http on a loopback host, or a scheme that this server lists"
    )]
    SchemeNotListed(String),

    /// It is at the authorization server itself.
    #[error("the redirect URI is a page of this server itself")]
    OwnOrigin,
    /// A fragment (RFC 6749 §3.1.2).
    #[error("the redirect URI has a fragment")]
    Fragment,
    /// No `//` after `http:` or `https:`; no `/` after another scheme.
    #[error("the redirect URI has no slashes after its scheme")]
    NoAuthority,
    /// A user name or a password.
    #[error("the redirect URI has a user name or a password before its host")]
    UserInfo,
    /// No host.
    #[error("the redirect URI has no host")]
    EmptyHost,
    /// A percent sign in the host.
    #[error("the host of the redirect URI has a percent-encoded character")]
    HostEscape,
    /// A character that no host has.
    #[error("the host of the redirect URI has the character {0:?}")]
    HostCharacter(char),
    /// Two dots with nothing between them, or a dot at the beginning.
    #[error("the host of the redirect URI has an empty label")]
    EmptyLabel,
    /// A dot at the end.
    #[error("the host of the redirect URI ends with a dot")]
    TrailingDot,
    /// A label of more than 63 characters, or a name of more than 253 (RFC 1035 §2.3.4).
    #[error(
        "the host of the redirect URI has a label of more than 63 characters, or more than 253 in all"
    )]
    HostTooLong,
    /// A label that begins with `xn--` and is not punycode (RFC 5891 §4.2.3).
    #[error("the label {0:?} of the redirect URI's host is not valid punycode")]
    Punycode(String),
    /// A label with letters of Latin and another script.
    #[error(
        "the label {0:?} of the redirect URI's host mixes Latin letters with those of another script"
    )]
    MixedScripts(String),
    /// A number, or an address in an unusual form.
    #[error(
        "the host {0:?} of the redirect URI is an address in an unusual form: write four decimal numbers, or the shortest form of IPv6"
    )]
    AddressForm(String),
    /// The own machine in another form than the three.
    #[error(
        "the host {0:?} of the redirect URI is a loopback address in an unusual form: write localhost, 127.0.0.1 or [::1]"
    )]
    LoopbackForm(String),
    /// `0.0.0.0` or `[::]`.
    #[error("the host {0:?} of the redirect URI is no address that a browser can go to")]
    Unspecified(String),
    /// `http` on another host.
    #[error(
        "the redirect URI is http, and its host {0:?} is not localhost, 127.0.0.1 or [::1]: use https"
    )]
    PlainHttp(String),

    /// A colon without a port.
    #[error("the redirect URI has a colon without a port after its host")]
    EmptyPort,
    /// A port that is not a decimal number without leading zeros.
    #[error("the port {0:?} of the redirect URI is not a decimal number without leading zeros")]
    PortNotANumber(String),
    /// Port 0.
    #[error("the port of the redirect URI is 0")]
    PortZero,
    /// A port above 65535.
    #[error("the port {0:?} of the redirect URI is greater than 65535")]
    PortTooLarge(String),

    /// A percent sign without two hexadecimal digits.
    #[error("the redirect URI has a percent sign without two hexadecimal digits")]
    Escape,
    /// A percent-encoded control character.
    #[error("the redirect URI has a percent-encoded control character")]
    EncodedControl,
    /// Percent-encoded bytes that are not UTF-8.
    #[error("the redirect URI has percent-encoded bytes that are not UTF-8")]
    NotUtf8,
    /// `.` or `..` as a segment.
    #[error("the path of the redirect URI has a segment `.` or `..`")]
    DotSegment,
    /// `.;x` or `..;x` as a segment. Some servers drop what follows the semicolon.
    #[error(
        "the path of the redirect URI has a segment `.` or `..` with a parameter after a semicolon"
    )]
    DotSegmentWithParameter,
    /// `%2e` in the path.
    #[error("the path of the redirect URI has a percent-encoded dot")]
    EncodedDot,
    /// `%2f` in the path.
    #[error("the path of the redirect URI has a percent-encoded slash")]
    EncodedSlash,
    /// `%5c` in the path.
    #[error("the path of the redirect URI has a percent-encoded backslash")]
    EncodedBackslash,
    /// `%25` in the path.
    #[error("the path of the redirect URI has a percent-encoded percent sign")]
    DoubleEncoding,
    /// A parameter in the query that the answer has as well: it would be there twice.
    #[error("the query of the redirect URI has the parameter {0:?}, which belongs to the answer")]
    ResponseParameter(String),

    /// A port after a private-use scheme.
    #[error("the redirect URI has a private-use scheme and a port")]
    PrivatePort,
    /// A private-use scheme with something after it that people take for a web host.
    #[error("the redirect URI has a private-use scheme, and {0:?} after it looks like a web host")]
    LooksLikeWebHost(String),

    /// Browsers do not read it at all (WHATWG URL).
    #[error("browsers do not read the redirect URI as a URL: {0}")]
    ParserRefuses(String),
    /// Browsers read another scheme, host or port.
    #[error("browsers read another host in the redirect URI: {0:?}")]
    ParserReadsHost(String),
    /// Browsers read another path.
    #[error("browsers read another path in the redirect URI: {0:?}")]
    ParserReadsPath(String),
    /// Browsers read another query.
    #[error("browsers read another query in the redirect URI: {0:?}")]
    ParserReadsQuery(String),
}

impl RedirectUriError {
    /// A short name of the fault, for logs, metrics and data files.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Control => "control",
            Self::Blank => "blank",
            Self::Backslash => "backslash",
            Self::NotAscii(_) => "not_ascii",
            Self::Character(_) => "character",
            Self::Wildcard => "wildcard",
            Self::NoScheme => "no_scheme",
            Self::SchemeCase(_) => "scheme_case",
            Self::SchemeForbidden(_) => "scheme_forbidden",
            Self::SchemeLooksLikeWeb(_) => "scheme_looks_like_web",
            Self::SchemeNotListed(_) => "scheme_not_listed",
            Self::Fragment => "fragment",
            Self::NoAuthority => "no_authority",
            Self::UserInfo => "user_info",
            Self::EmptyHost => "empty_host",
            Self::OwnOrigin => "own_origin",
            Self::HostEscape => "host_escape",
            Self::HostCharacter(_) => "host_character",
            Self::EmptyLabel => "empty_label",
            Self::TrailingDot => "trailing_dot",
            Self::HostTooLong => "host_too_long",
            Self::Punycode(_) => "punycode",
            Self::MixedScripts(_) => "mixed_scripts",
            Self::AddressForm(_) => "address_form",
            Self::LoopbackForm(_) => "loopback_form",
            Self::Unspecified(_) => "unspecified",
            Self::PlainHttp(_) => "plain_http",
            Self::EmptyPort => "empty_port",
            Self::PortNotANumber(_) => "port_not_a_number",
            Self::PortZero => "port_zero",
            Self::PortTooLarge(_) => "port_too_large",
            Self::Escape => "escape",
            Self::EncodedControl => "encoded_control",
            Self::NotUtf8 => "not_utf8",
            Self::DotSegment => "dot_segment",
            Self::DotSegmentWithParameter => "dot_segment_with_parameter",
            Self::EncodedDot => "encoded_dot",
            Self::EncodedSlash => "encoded_slash",
            Self::EncodedBackslash => "encoded_backslash",
            Self::DoubleEncoding => "double_encoding",
            Self::ResponseParameter(_) => "response_parameter",
            Self::PrivatePort => "private_port",
            Self::LooksLikeWebHost(_) => "looks_like_web_host",
            Self::ParserRefuses(_) => "parser_refuses",
            Self::ParserReadsHost(_) => "parser_reads_host",
            Self::ParserReadsPath(_) => "parser_reads_path",
            Self::ParserReadsQuery(_) => "parser_reads_query",
        }
    }
}
