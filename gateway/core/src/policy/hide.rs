//! What of an upstream's lists is kept from callers that may not use it.

use crate::mcp::listed::Listed;
use crate::mcp::method::McpMethod;

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

impl Listed {
    /// The method that uses an entry, and so the one whose rules say whether it is shown.
    pub const fn used_by(self) -> McpMethod {
        match self {
            Self::Tools => McpMethod::CallTool,
            Self::Prompts => McpMethod::GetPrompt,
            Self::Resources | Self::Templates => McpMethod::ReadResource,
        }
    }
}
