//! Checks a condition when the configuration is read: which names it uses, what it reads, and whether its types match.
//!
//! Claims and arguments may have any type, so every operation on them may be valid. The type of everything else is
//! known: `request.path > 3` is never valid, and is refused.

mod functions;

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr};
use cel::{Context, Program, Value};

use super::environment::environment;
use super::error::{ConditionError, FLATTER, Spot, TOO_DEEP};
use super::kept_claims::{ClaimNames, MemberNames};
use crate::similar;
use functions::TypeKind;

/// What a condition reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) claims: ClaimNames,
    /// Members of the arguments.
    pub(crate) arguments: MemberNames,
    /// Those, and the members inside them.
    pub(crate) argument_names: BTreeSet<String>,
    /// How many times it uses arguments.
    pub(crate) argument_uses: usize,
    /// The tool, prompt or resource.
    pub(crate) name: bool,
    pub(crate) address: bool,
    pub(crate) time: bool,
}

/// The variables whose members are fixed, and those members.
const VARIABLES: [(&str, &[(&str, TypeKind)]); 3] = [
    (
        "client",
        &[("id", TypeKind::Text), ("address", TypeKind::Text)],
    ),
    (
        "mcp",
        &[
            ("method", TypeKind::Text),
            ("name", TypeKind::Text),
            ("arguments", TypeKind::Map),
            ("version", TypeKind::Text),
        ],
    ),
    (
        "request",
        &[
            ("method", TypeKind::Text),
            ("path", TypeKind::Text),
            ("host", TypeKind::Text),
            ("time", TypeKind::Time),
        ],
    ),
];

const VARIABLE_NAMES: [&str; 4] = ["claims", "client", "mcp", "request"];

/// CEL's macros over lists, and regular expressions.
const LIST_MACROS: [&str; 7] = [
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "matches",
];

/// Depth of nesting. The interpreter recurses at each level, on the stack of a worker thread.
const MAX_DEPTH: usize = 32;

/// What a condition reads, if it is valid.
pub(crate) fn check(program: &Program) -> Result<Reads, ConditionError> {
    let mut checker = Checker {
        program,
        reads: Reads::default(),
        depth: 0,
    };
    let root = program.expression();
    let kind = checker.node(root)?.kind;
    if !kind.may_be(TypeKind::Bool) {
        return Err(checker.error(
            root,
            format!("evaluates to {}, not to true or false", kind.name()),
            "Compare it with a value, such as == \"…\".",
        ));
    }
    Ok(checker.reads)
}

struct Checker<'p> {
    program: &'p Program,
    reads: Reads,
    depth: usize,
}

/// What is known about a part of the condition.
struct Node {
    kind: TypeKind,
    /// Whether its value does not depend on the request.
    is_constant: bool,
    origin: ValueOrigin,
}

/// Where a part's value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueOrigin {
    Elsewhere,
    /// All claims.
    Claims,
    /// All arguments.
    Arguments,
    /// Something in the arguments.
    InArguments,
}

impl Node {
    const fn of(kind: TypeKind) -> Self {
        Self::from(kind, ValueOrigin::Elsewhere)
    }

    const fn constant(kind: TypeKind) -> Self {
        Self {
            is_constant: true,
            ..Self::of(kind)
        }
    }

    const fn from(kind: TypeKind, origin: ValueOrigin) -> Self {
        Self {
            kind,
            is_constant: false,
            origin,
        }
    }
}

impl Checker<'_> {
    /// A part whose whole value is read.
    fn node(&mut self, expr: &IdedExpr) -> Result<Node, ConditionError> {
        let node = self.base(expr)?;
        match node.origin {
            ValueOrigin::Claims => self.reads.claims = ClaimNames::All,
            ValueOrigin::Arguments => self.reads.arguments = MemberNames::All,
            ValueOrigin::InArguments | ValueOrigin::Elsewhere => {}
        }
        Ok(node)
    }

    /// A part of which possibly only one member is read.
    fn base(&mut self, expr: &IdedExpr) -> Result<Node, ConditionError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(expr, TOO_DEEP, FLATTER));
        }
        self.depth += 1;
        let node = self.part(expr);
        self.depth -= 1;
        node
    }

    fn part(&mut self, expr: &IdedExpr) -> Result<Node, ConditionError> {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.variable(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => self.all(&list.elements, TypeKind::List),
            Expr::Map(map) => self.map(expr, map),
            Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => Err(self.error(
                expr,
                "is an expression that conditions do not support",
                "Write lists with [] and maps with {}.",
            )),
        }
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Result<Node, ConditionError> {
        Ok(Node::constant(match literal {
            LiteralValue::Boolean(_) => TypeKind::Bool,
            LiteralValue::Double(_) => TypeKind::Double,
            LiteralValue::Int(_) => TypeKind::Int,
            LiteralValue::Null => TypeKind::Null,
            LiteralValue::String(_) => TypeKind::Text,
            LiteralValue::UInt(_) => TypeKind::Uint,
            LiteralValue::Bytes(_) => {
                return Err(self.error(
                    expr,
                    "must be a string, not bytes",
                    "Remove the b before the string.",
                ));
            }
        }))
    }

    fn variable(&self, expr: &IdedExpr, name: &str) -> Result<Node, ConditionError> {
        if name == "claims" {
            return Ok(Node::from(TypeKind::Map, ValueOrigin::Claims));
        }
        if let Some((_, members)) = VARIABLES.iter().find(|(variable, _)| *variable == name) {
            let names: Vec<_> = members.iter().map(|(member, _)| *member).collect();
            return Err(self.error(
                expr,
                format!("`{name}` is not a value"),
                format!("Use one of its members: {}.", listed(&names, name)),
            ));
        }
        Err(self.error(
            expr,
            format!("unknown variable `{}`", shortened(name)),
            format!(
                "{}Put strings in quotes, or use claims, client, mcp or request.",
                did_you_mean(name, VARIABLE_NAMES)
            ),
        ))
    }

    fn select(&mut self, expr: &IdedExpr, select: &SelectExpr) -> Result<Node, ConditionError> {
        if let Expr::Ident(variable) = &select.operand.expr
            && let Some((name, members)) = VARIABLES.iter().find(|(name, _)| name == variable)
        {
            return self.fixed(expr, select, name, members);
        }
        let operand = self.base(&select.operand)?;
        if !operand.kind.may_be(TypeKind::Map) {
            return Err(self.error(
                expr,
                format!("a {} has no members", operand.kind.name()),
                format!("Remove .{}.", shortened(&select.field)),
            ));
        }
        let mut node = self.member(&operand, Some(&select.field));
        if select.test {
            node = Node::of(TypeKind::Bool);
        }
        Ok(node)
    }

    /// A member of a variable whose members are fixed.
    fn fixed(
        &mut self,
        expr: &IdedExpr,
        select: &SelectExpr,
        variable: &str,
        members: &[(&str, TypeKind)],
    ) -> Result<Node, ConditionError> {
        let field = select.field.as_str();
        let names: Vec<_> = members.iter().map(|(member, _)| *member).collect();
        let Some((_, kind)) = members.iter().find(|(member, _)| *member == field) else {
            return Err(self.error(
                expr,
                format!("`{variable}` has no member `{}`", shortened(field)),
                format!(
                    "{}Use one of {}.",
                    did_you_mean(field, names.iter().copied()),
                    listed(&names, variable)
                ),
            ));
        };
        if select.test {
            return Err(self.error(
                expr,
                format!("`{variable}.{field}` is always present"),
                "Compare it with \"\" or {}: it is empty if the request has none.",
            ));
        }
        self.reads.name |= (variable, field) == ("mcp", "name");
        self.reads.address |= (variable, field) == ("client", "address");
        self.reads.time |= *kind == TypeKind::Time;
        let is_arguments = *kind == TypeKind::Map;
        self.reads.argument_uses += usize::from(is_arguments);
        Ok(Node::from(
            *kind,
            if is_arguments {
                ValueOrigin::Arguments
            } else {
                ValueOrigin::Elsewhere
            },
        ))
    }

    /// A member of a value whose members are not fixed. Without a name it may be any of them.
    fn member(&mut self, of: &Node, name: Option<&str>) -> Node {
        match (of.origin, name) {
            (ValueOrigin::Claims, Some(name)) => self.reads.claims.insert(name),
            (ValueOrigin::Claims, None) => self.reads.claims = ClaimNames::All,
            (ValueOrigin::Arguments, Some(name)) => self.reads.arguments.insert(name),
            (ValueOrigin::Arguments, None) => self.reads.arguments = MemberNames::All,
            (ValueOrigin::InArguments | ValueOrigin::Elsewhere, _) => {}
        }
        let in_arguments = matches!(of.origin, ValueOrigin::Arguments | ValueOrigin::InArguments);
        if let Some(name) = name.filter(|_| in_arguments) {
            self.reads.argument_names.insert(name.to_owned());
        }
        let origin = if in_arguments {
            ValueOrigin::InArguments
        } else {
            ValueOrigin::Elsewhere
        };
        Node {
            is_constant: of.is_constant,
            ..Node::from(TypeKind::Any, origin)
        }
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<Node, ConditionError> {
        let node = match (call.func_name.as_str(), call.args.as_slice()) {
            ("_[_]", [of, index]) => self.index(expr, call, of, index)?,
            ("@in", [name, of]) => self.is_in(expr, call, name, of)?,
            ("_==_" | "_!=_", [left, right]) => self.equals(expr, left, right)?,
            ("_?_:_", [condition, yes, no]) => self.choice(condition, yes, no)?,
            _ => self.function(expr, call)?,
        };
        if node.is_constant {
            self.evaluate(expr)?;
        }
        Ok(node)
    }

    /// `of[index]`
    fn index(
        &mut self,
        expr: &IdedExpr,
        call: &CallExpr,
        of: &IdedExpr,
        index: &IdedExpr,
    ) -> Result<Node, ConditionError> {
        let (container, index_node) = (self.base(of)?, self.node(index)?);
        self.gives(expr, call, &[container.kind, index_node.kind])?;
        let member = self.member(&container, text(index));
        Ok(Node {
            is_constant: container.is_constant && index_node.is_constant,
            ..member
        })
    }

    /// `name in of`
    fn is_in(
        &mut self,
        expr: &IdedExpr,
        call: &CallExpr,
        name: &IdedExpr,
        of: &IdedExpr,
    ) -> Result<Node, ConditionError> {
        let (name_node, container) = (self.node(name)?, self.base(of)?);
        self.gives(expr, call, &[name_node.kind, container.kind])?;
        self.member(&container, text(name));
        Ok(Node {
            is_constant: name_node.is_constant && container.is_constant,
            ..Node::of(TypeKind::Bool)
        })
    }

    fn equals(
        &mut self,
        expr: &IdedExpr,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Node, ConditionError> {
        let (left, right) = (self.node(left)?, self.node(right)?);
        if !left.kind.may_equal(right.kind) {
            return Err(self.error(
                expr,
                format!(
                    "{} and {} are never equal",
                    left.kind.name(),
                    right.kind.name()
                ),
                "Compare values of the same type.",
            ));
        }
        Ok(Node {
            is_constant: left.is_constant && right.is_constant,
            ..Node::of(TypeKind::Bool)
        })
    }

    fn choice(
        &mut self,
        condition: &IdedExpr,
        yes: &IdedExpr,
        no: &IdedExpr,
    ) -> Result<Node, ConditionError> {
        let node = self.node(condition)?;
        if !node.kind.may_be(TypeKind::Bool) {
            return Err(self.error(
                condition,
                format!(
                    "the part before ? is {}, not true or false",
                    node.kind.name()
                ),
                "Write a condition before the question mark.",
            ));
        }
        let (yes, no) = (self.node(yes)?, self.node(no)?);
        let kind = if yes.kind == no.kind {
            yes.kind
        } else {
            TypeKind::Any
        };
        Ok(Node {
            is_constant: node.is_constant && yes.is_constant && no.is_constant,
            ..Node::of(kind)
        })
    }

    fn function(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<Node, ConditionError> {
        let function = functions::find(&call.func_name)
            .filter(|function| function.may_be_written(call.target.is_some()))
            .ok_or_else(|| self.unknown_function(expr, call))?;
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        let (mut kinds, mut is_constant) = (Vec::new(), true);
        for part in parts {
            let node = self.node(part)?;
            kinds.push(node.kind);
            is_constant &= node.is_constant;
        }
        let kind = function
            .gives(&kinds)
            .ok_or_else(|| self.wrong_types(expr, function, &kinds))?;
        Ok(Node {
            is_constant,
            ..Node::of(kind)
        })
    }

    fn gives(
        &self,
        expr: &IdedExpr,
        call: &CallExpr,
        kinds: &[TypeKind],
    ) -> Result<TypeKind, ConditionError> {
        let function = functions::find(&call.func_name);
        let function = function.ok_or_else(|| self.unknown_function(expr, call))?;
        let kind = function.gives(kinds);
        kind.ok_or_else(|| self.wrong_types(expr, function, kinds))
    }

    fn wrong_types(
        &self,
        expr: &IdedExpr,
        function: &functions::Function,
        kinds: &[TypeKind],
    ) -> ConditionError {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let problem = format!(
            "`{}` does not accept {}",
            functions::shown(function.name),
            if names.is_empty() {
                "an empty argument list".to_owned()
            } else {
                names.join(" and ")
            }
        );
        self.error(expr, problem, format!("Use {}.", function.forms()))
    }

    fn unknown_function(&self, expr: &IdedExpr, call: &CallExpr) -> ConditionError {
        let name = functions::shown(&call.func_name);
        if LIST_MACROS.contains(&name) {
            return self.error(
                expr,
                format!(
                    "`{name}` is not supported: conditions have no loops and no regular expressions"
                ),
                "Use `in` for lists, and contains, startsWith or endsWith for strings.",
            );
        }
        if let Some(function) = functions::find(name) {
            return self.error(
                expr,
                format!("`{name}` is called in the wrong form"),
                format!("Use {}.", function.forms()),
            );
        }
        self.error(
            expr,
            format!("unknown function `{}`", shortened(name)),
            format!(
                "{}Use one of {}.",
                did_you_mean(name, functions::names()),
                functions::names().collect::<Vec<_>>().join(", ")
            ),
        )
    }

    /// Parts that are all read.
    fn all(&mut self, parts: &[IdedExpr], kind: TypeKind) -> Result<Node, ConditionError> {
        let mut is_constant = true;
        for part in parts {
            is_constant &= self.node(part)?.is_constant;
        }
        Ok(Node {
            is_constant,
            ..Node::of(kind)
        })
    }

    fn map(&mut self, expr: &IdedExpr, map: &MapExpr) -> Result<Node, ConditionError> {
        let mut is_constant = true;
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.error(expr, "is not a map", "Write maps as {\"name\": value}."));
            };
            is_constant &= self.node(&entry.key)?.is_constant;
            is_constant &= self.node(&entry.value)?.is_constant;
        }
        let node = Node {
            is_constant,
            ..Node::of(TypeKind::Map)
        };
        if is_constant {
            self.evaluate(expr)?;
        }
        Ok(node)
    }

    /// A part that reads nothing has always the same value, or always fails.
    fn evaluate(&self, expr: &IdedExpr) -> Result<(), ConditionError> {
        let context = Context::with_env(environment());
        match Value::resolve_val(expr, &context) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error(expr, "always fails", "Correct the constant.")),
        }
    }

    fn error(
        &self,
        expr: &IdedExpr,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> ConditionError {
        let source = self.program.source_info();
        let offset = source.offset_for(expr.id).map_or(0, |(start, _)| start);
        let at = Spot::of(&source.source, offset);
        ConditionError::new(at, problem, fix)
    }
}

/// The text of a literal.
fn text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    similar::nearest(word, known)
        .map_or_else(String::new, |near| format!("Did you mean `{near}`? "))
}

fn listed(members: &[&str], variable: &str) -> String {
    let members = members.iter().map(|member| format!("{variable}.{member}"));
    members.collect::<Vec<_>>().join(", ")
}

/// A name in a message, truncated.
fn shortened(name: &str) -> String {
    const MOST: usize = 40;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!(
            "{}…",
            name.split_at_checked(end).map_or("", |(head, _)| head)
        ),
        None => name.to_owned(),
    }
}
