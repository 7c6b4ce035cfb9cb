//! What of an upstream's lists is kept from callers that may not use it.

/// Which entries of a list are hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    /// None: every caller sees the upstream's lists as they are.
    #[default]
    Nothing,
    /// What the policy refuses this caller whatever its scopes: what no step-up would open.
    Denied,
    /// Whatever this caller cannot use with the token it has.
    Unusable,
}

/// The lists of an MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Of `tools/list`.
    Tools,
    /// Of `prompts/list`.
    Prompts,
    /// Of `resources/list`.
    Resources,
    /// Of `resources/templates/list`.
    Templates,
}

impl Listed {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The list that this method asks for.
    pub fn asked_by(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "prompts/list" => Some(Self::Prompts),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::Templates),
            _ => None,
        }
    }

    /// The method that uses an entry, and so the one whose rules say whether it is shown.
    pub const fn used_by(self) -> &'static str {
        match self {
            Self::Tools => "tools/call",
            Self::Prompts => "prompts/get",
            Self::Resources | Self::Templates => "resources/read",
        }
    }

    /// The member of the result that is the list (MCP schema, `ListToolsResult` and its like).
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an entry that its use names it by.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "templates",
        }
    }
}
