//! Why a request is not read, or an answer not written.

use mcp_gateway_core::http::request::head::HeadFault as HeadSyntax;

/// Why the head of a request was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// More fields than are read.
    TooManyFields,
    /// The bytes are not a head.
    Syntax,
    /// The client disconnected within it, or sent too much.
    BrokenOff,
}

impl From<HeadSyntax> for HeadFault {
    fn from(fault: HeadSyntax) -> Self {
        match fault {
            HeadSyntax::TooManyFields => Self::TooManyFields,
            HeadSyntax::Syntax(_) | HeadSyntax::Field => Self::Syntax,
        }
    }
}

/// Why a part of a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// The client disconnected.
    Gone,
    /// The body is not what the head says.
    Framing,
}

/// The client takes no more of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unwritten;
