//! The methods of MCP, one row each: everything that follows from a method alone.
//!
//! Configuration, policy, rate limits, sealing, logs and metrics read these rows. No other file contains the name of a method, so
//! a new method is one new row. A name without a row gets the row of its family, which is the strictest: the method can change
//! something, policy rules apply to it, and it has no metric label. Notifications are the exception: no rule applies to them,
//! because they use a connection that the required scopes already allowed.
//!
//! Sources: the schemas of MCP 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28, and of the tasks extension
//! (SEP-2663). `method/published.txt` lists their names, and a test compares the rows with that list.

use super::listed::Listed;
use super::version::Era;

macro_rules! methods {
    (
        row $name:literal $is_family:literal $eras:ident $sender:ident $form:ident $about:ident $target:ident
        $mirror:ident $further:ident $effect:ident $access:ident $list:expr
    ) => {
        &MethodRow {
            name: $name,
            is_family: $is_family,
            eras: Eras::$eras,
            sender: Sender::$sender,
            form: MessageForm::$form,
            about: About::$about,
            target: TargetMember::$target,
            mirror: Mirror::$mirror,
            further: Further::$further,
            effect: Effect::$effect,
            access: Access::$access,
            list: $list,
        }
    };
    (
        known {
            $($method:ident $name:literal
                $eras:ident $sender:ident $form:ident $about:ident $target:ident
                $mirror:ident $further:ident $effect:ident $access:ident $list:expr;)*
        }
        families {
            $($family:ident $prefix:literal
                $f_eras:ident $f_sender:ident $f_form:ident $f_about:ident $f_target:ident
                $f_mirror:ident $f_further:ident $f_effect:ident $f_access:ident $f_list:expr;)*
        }
    ) => {
        /// A method of MCP, or a family of names without a row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum McpMethod {
            $(#[doc = concat!("`", $name, "`")] $method,)*
            $(#[doc = concat!("Any other name that begins with `", $prefix, "`")] $family,)*
        }

        impl McpMethod {
            /// Every method that has a row, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$method),*];

            /// The method with exactly this name. Every text gives a method: for a name that MCP does not have, its family.
            pub fn of(name: &str) -> Self {
                match name {
                    $($name => Self::$method,)*
                    other => Self::family_of(other),
                }
            }

            fn family_of(name: &str) -> Self {
                $(if name.starts_with($prefix) { return Self::$family; })*
                Self::Unknown
            }

            const fn row(self) -> &'static MethodRow {
                match self {
                    $(Self::$method => methods!(row $name false $eras $sender $form $about $target
                        $mirror $further $effect $access $list),)*
                    $(Self::$family => methods!(row $prefix true $f_eras $f_sender $f_form $f_about $f_target
                        $f_mirror $f_further $f_effect $f_access $f_list),)*
                }
            }
        }
    };
}

// Each column is one of the enums below, which document its values. Operators see the methods in this order.
methods! {
    known {
        // method                 name                                       eras   sender form         about     target  mirror    further       effect  access      list
        Initialize                "initialize"                               Legacy Client Request      Other     Nothing Never     Nothing       Keeps   Open        None;
        Ping                      "ping"                                     Legacy Either Request      Other     Nothing Never     Nothing       Reads   Open        None;
        Discover                  "server/discover"                          Modern Client Request      Other     Nothing Never     Nothing       Reads   Open        None;
        ListTools                 "tools/list"                               Both   Client Request      Other     Nothing Never     Nothing       Reads   Ruled       Some(Listed::Tools);
        CallTool                  "tools/call"                               Both   Client Request      Other     Name    Required  Arguments     Changes Ruled       None;
        ListPrompts               "prompts/list"                             Both   Client Request      Other     Nothing Never     Nothing       Reads   Ruled       Some(Listed::Prompts);
        GetPrompt                 "prompts/get"                              Both   Client Request      Other     Name    Required  Arguments     Reads   Ruled       None;
        ListResources             "resources/list"                           Both   Client Request      Resources Nothing Never     Nothing       Reads   Ruled       Some(Listed::Resources);
        ReadResource              "resources/read"                           Both   Client Request      Resources Uri     Required  Nothing       Reads   Ruled       None;
        Subscribe                 "resources/subscribe"                      Legacy Client Request      Resources Uri     IfPresent Nothing       Changes RuledAsRead None;
        Unsubscribe               "resources/unsubscribe"                    Legacy Client Request      Resources Uri     IfPresent Nothing       Changes RuledAsRead None;
        ListTemplates             "resources/templates/list"                 Both   Client Request      Resources Nothing Never     Nothing       Reads   Ruled       Some(Listed::Templates);
        Complete                  "completion/complete"                      Both   Client Request      Other     Nothing Never     Completion    Reads   Ruled       None;
        SetLogLevel               "logging/setLevel"                         Legacy Client Request      Other     Nothing Never     Nothing       Changes Ruled       None;
        Listen                    "subscriptions/listen"                     Modern Client Request      Other     Nothing Never     Subscriptions Reads   Ruled       None;
        ListTasks                 "tasks/list"                               Legacy Either Request      Tasks     Nothing Never     Nothing       Reads   Ruled       None;
        GetTask                   "tasks/get"                                Both   Either Request      Tasks     TaskId  Required  Nothing       Reads   Ruled       None;
        GetTaskResult             "tasks/result"                             Legacy Either Request      Tasks     TaskId  Never     Nothing       Reads   Ruled       None;
        UpdateTask                "tasks/update"                             Modern Client Request      Tasks     TaskId  Required  Nothing       Changes Ruled       None;
        CancelTask                "tasks/cancel"                             Both   Either Request      Tasks     TaskId  Required  Nothing       Changes Ruled       None;
        CreateMessage             "sampling/createMessage"                   Both   Server Request      Other     Nothing Never     Nothing       Changes Ruled       None;
        Elicit                    "elicitation/create"                       Both   Server Request      Other     Nothing Never     Nothing       Changes Ruled       None;
        ListRoots                 "roots/list"                               Both   Server Request      Other     Nothing Never     Nothing       Changes Ruled       None;
        Initialized               "notifications/initialized"                Legacy Client Notification Other     Nothing Never     Nothing       Keeps   Open        None;
        Cancelled                 "notifications/cancelled"                  Both   Either Notification Other     Nothing Never     Nothing       Keeps   Open        None;
        Progress                  "notifications/progress"                   Both   Either Notification Other     Nothing Never     Nothing       Keeps   Open        None;
        RootsChanged              "notifications/roots/list_changed"         Legacy Client Notification Other     Nothing Never     Nothing       Keeps   Open        None;
        TaskStatus                "notifications/tasks/status"               Legacy Either Notification Other     Nothing Never     Task          Changes Open        None;
        Task                      "notifications/tasks"                      Modern Server Notification Other     Nothing Never     Task          Changes Open        None;
        SubscriptionsAcknowledged "notifications/subscriptions/acknowledged" Modern Server Notification Other     Nothing Never     Acknowledged  Changes Open        None;
        LogMessage                "notifications/message"                    Both   Server Notification Other     Nothing Never     Nothing       Changes Open        None;
        ResourceUpdated           "notifications/resources/updated"          Both   Server Notification Other     Nothing Never     Nothing       Changes Open        None;
        ResourcesChanged          "notifications/resources/list_changed"     Both   Server Notification Other     Nothing Never     Nothing       Changes Open        None;
        ToolsChanged              "notifications/tools/list_changed"         Both   Server Notification Other     Nothing Never     Nothing       Changes Open        None;
        PromptsChanged            "notifications/prompts/list_changed"       Both   Server Notification Other     Nothing Never     Nothing       Changes Open        None;
        ElicitationCompleted      "notifications/elicitation/complete"       Legacy Server Notification Other     Nothing Never     Nothing       Changes Open        None;
    }
    families {
        UnknownNotification       "notifications/"                           Both   Either Notification Other     Nothing Never     Nothing       Changes Open        None;
        UnknownOfTasks            "tasks/"                                   Both   Either Request      Tasks     Nothing Never     Nothing       Changes Ruled       None;
        UnknownOfResources        "resources/"                               Both   Either Request      Resources Nothing Never     Nothing       Changes Ruled       None;
        Unknown                   ""                                         Both   Either Request      Other     Nothing Never     Nothing       Changes Ruled       None;
    }
}

/// What follows from a method alone.
struct MethodRow {
    /// The name of the method; for a family, the prefix of its names.
    name: &'static str,
    is_family: bool,
    eras: Eras,
    sender: Sender,
    form: MessageForm,
    about: About,
    target: TargetMember,
    mirror: Mirror,
    further: Further,
    effect: Effect,
    access: Access,
    /// The list that it requests.
    list: Option<Listed>,
}

/// The eras that have a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eras {
    Legacy,
    Modern,
    Both,
}

/// Which side can send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
    Either,
}

/// Whether it requires an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MessageForm {
    Request,
    Notification,
}

/// The subject of a family of names, for known and unknown methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Resources. If the method has a target, it is a URI.
    Resources,
    /// Tasks.
    Tasks,
    Other,
}

/// The member of `params` that names what a method acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TargetMember {
    /// It acts on nothing that a policy rule can name.
    Nothing,
    /// A tool or a prompt.
    Name,
    /// A resource.
    Uri,
    /// A task.
    TaskId,
}

/// When `Mcp-Name` must mirror the target on a request of the modern era (MCP 2026-07-28, Streamable HTTP, *Standard Request
/// Headers*; the tasks extension for `tasks/*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// It must be present and equal.
    Required,
    /// It must be equal if it is present. These methods exist only in the legacy era.
    IfPresent,
    /// It is forwarded unread.
    Never,
}

/// Which other members of `params` are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Further {
    Nothing,
    /// `arguments`, of a tool or prompt.
    Arguments,
    /// `notifications`: the resources and tasks to follow. The answer is a stream of their changes.
    Subscriptions,
    /// `ref`: the prompt or resource template that is completed.
    Completion,
    /// `params` itself, which is a task.
    Task,
    /// `notifications`: what the server follows from now on.
    Acknowledged,
}

/// What it can do, as far as a gateway can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It only reads: the same when it is sent twice.
    Reads,
    /// It opens, keeps or reports on a connection or session, and changes nothing else.
    Keeps,
    /// It can change something.
    Changes,
}

/// What decides on it in addition to the required scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Nothing: it opens or keeps a connection and calls nothing.
    Open,
    /// The policy rules that name it.
    Ruled,
    /// Those, and the rules for `resources/read`: only clients that may read a resource may follow it (MCP 2025-11-25,
    /// resources).
    RuledAsRead,
}

impl McpMethod {
    /// The metric label of every name that a client cannot send by the specification.
    pub const OTHER_LABEL: &str = "other";

    /// The name; for a family, the prefix of its names.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it has a row.
    pub const fn is_known(self) -> bool {
        !self.row().is_family
    }

    /// The metric label, one of a fixed set.
    pub fn label(self) -> &'static str {
        let row = self.row();
        match (row.form, row.sender) {
            (MessageForm::Notification, _) => "notification",
            (MessageForm::Request, Sender::Client | Sender::Either) if self.is_known() => row.name,
            (MessageForm::Request, _) => Self::OTHER_LABEL,
        }
    }

    /// Whether it requires no answer.
    pub fn is_notification(self) -> bool {
        self.row().form == MessageForm::Notification
    }

    /// Whether only servers send it.
    pub fn is_sent_by_servers(self) -> bool {
        self.row().sender == Sender::Server
    }

    /// Whether the required scopes are enough for it, without policy rules.
    pub fn is_always_open(self) -> bool {
        self.row().access == Access::Open
    }

    /// Whether rules for `resources/read` apply to it too.
    pub fn is_judged_as_reading(self) -> bool {
        self.row().access == Access::RuledAsRead
    }

    /// Whether it changes nothing but a connection or session, as far as a gateway can know.
    pub fn only_reads(self) -> bool {
        self.row().effect != Effect::Changes
    }

    /// Whether it may be sent again where it is not known if the server has processed it.
    pub fn may_be_repeated(self) -> bool {
        self.row().effect == Effect::Reads
    }

    /// The member of `params` that names what it acts on; `None` if it acts on nothing that a policy rule can name.
    pub const fn target(self) -> Option<&'static str> {
        match self.row().target {
            TargetMember::Nothing => None,
            TargetMember::Name => Some("name"),
            TargetMember::Uri => Some("uri"),
            TargetMember::TaskId => Some("taskId"),
        }
    }

    /// When `Mcp-Name` mirrors its target.
    pub(crate) const fn mirror(self) -> Mirror {
        self.row().mirror
    }

    /// Which other members of `params` are read.
    pub(crate) const fn further(self) -> Further {
        self.row().further
    }

    /// Whether it has arguments, which rules can name.
    pub fn takes_arguments(self) -> bool {
        self.further() == Further::Arguments
    }

    /// Whether it follows resources and tasks: its answer is a stream that only listens.
    pub fn listens(self) -> bool {
        self.further() == Further::Subscriptions
    }

    /// Whether it completes a prompt or a resource template.
    pub fn completes(self) -> bool {
        self.further() == Further::Completion
    }

    /// Whether it is a method for resources, whose names are URIs.
    pub fn is_about_resources(self) -> bool {
        self.row().about == About::Resources
    }

    /// Whether it is a method for tasks.
    pub fn is_about_tasks(self) -> bool {
        self.row().about == About::Tasks
    }

    /// Whether it acts on the one task that `params.taskId` names, and exists in this era. A legacy server may support a later
    /// method; a modern server does not support a removed one.
    pub fn names_a_task(self, era: Era) -> bool {
        let row = self.row();
        let is_gone = row.eras == Eras::Legacy && era == Era::Modern;
        row.target == TargetMember::TaskId && !is_gone
    }

    /// The list that it requests.
    pub const fn list(self) -> Option<Listed> {
        self.row().list
    }

    /// Whether it opens a session of the legacy era.
    pub fn opens_session(self) -> bool {
        self == Self::Initialize
    }

    /// Whether it calls a tool.
    pub fn calls_a_tool(self) -> bool {
        self == Self::CallTool
    }
}

#[cfg(test)]
mod tests;
