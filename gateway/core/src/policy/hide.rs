//! Which entries of an upstream's lists are hidden from callers that are not allowed to use them.

use crate::mcp::listed::Listed;
use crate::mcp::method::McpMethod;

/// Which entries of a list are hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    /// None: every caller sees the upstream's lists as they are.
    #[default]
    Nothing,
    /// Entries that the policy refuses this caller regardless of its scopes: no step-up would help.
    Denied,
    /// Every entry that this caller cannot use with its present token.
    Unusable,
}

impl Listed {
    /// The method that uses an entry. Its rules decide whether the entry is shown.
    pub const fn used_by(self) -> McpMethod {
        match self {
            Self::Tools => McpMethod::CallTool,
            Self::Prompts => McpMethod::GetPrompt,
            Self::Resources | Self::Templates => McpMethod::ReadResource,
        }
    }
}
