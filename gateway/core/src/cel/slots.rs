//! A checked expression prepared for evaluation: what does not depend on the facts is evaluated once, and each variable is
//! a number instead of a name that the interpreter splits and joins again.
//!
//! The interpreter tries every prefix of `a.b.c` as the name of a variable. Here there is nothing to try: a variable
//! becomes the identifier `#n`, which cannot be written in a condition, and a member of its value becomes an index.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelMapKey, CelString};
use cel::common::value::Val;
use cel::{Context, Value};

use super::environment::environment;
use super::equality;

/// What `#n` means.
#[derive(Debug)]
pub(crate) enum Slot {
    Constant(Box<dyn Val>),
    Claims,
    Claim(CelMapKey<'static>),
    Arguments,
    Argument(CelMapKey<'static>),
    Fact(Fact),
}

/// A fact that is always present.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact {
    ClientId,
    ClientAddress,
    Method,
    Name,
    Version,
    HttpMethod,
    Path,
    Host,
    Time,
}

/// Prepares a checked expression, and returns what is in its slots.
pub(crate) fn assign(expr: &mut IdedExpr) -> Vec<Slot> {
    let mut slots = Vec::new();
    lower(expr, &mut slots);
    slots
}

/// The slot of an identifier.
pub(crate) fn find<'a>(slots: &'a [Slot], name: &str) -> Option<&'a Slot> {
    slots.get(name.strip_prefix('#')?.parse::<usize>().ok()?)
}

fn lower(expr: &mut IdedExpr, slots: &mut Vec<Slot>) {
    if let Some(slot) = slot(expr) {
        expr.expr = Expr::Ident(format!("#{}", slots.len()));
        slots.push(slot);
        return;
    }
    match &mut expr.expr {
        Expr::Select(select) => {
            lower(&mut select.operand, slots);
            if select.test && !is_map(&select.operand, slots) {
                return;
            }
            let member = literal(select.operand.id, &select.field);
            let operand = std::mem::take(&mut *select.operand);
            expr.expr = if select.test {
                call(operators::IN, vec![member, operand])
            } else {
                call(operators::INDEX, vec![operand, member])
            };
        }
        Expr::Call(call) => {
            let is_null = call.args.iter().any(equality::is_null);
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                lower(part, slots);
            }
            if !is_null
                && call.args.iter().any(|part| is_from_client(part, slots))
                && let Some(strict) = equality::strict(&call.func_name)
            {
                call.func_name = strict.to_owned();
            }
        }
        Expr::List(list) => {
            for part in &mut list.elements {
                lower(part, slots);
            }
        }
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    lower(&mut entry.key, slots);
                    lower(&mut entry.value, slots);
                }
            }
        }
        _ => {}
    }
}

/// Whether a value may be of any type. The types of the others were compared when the condition was checked.
fn is_from_client(expr: &IdedExpr, slots: &[Slot]) -> bool {
    match &expr.expr {
        Expr::Literal(_) => false,
        Expr::Ident(name) => !matches!(find(slots, name), Some(Slot::Constant(_) | Slot::Fact(_))),
        _ => true,
    }
}

/// Whether this is certainly a map: then `has(a.b)` and `"b" in a` mean the same.
fn is_map(expr: &IdedExpr, slots: &[Slot]) -> bool {
    let Expr::Ident(name) = &expr.expr else {
        return false;
    };
    matches!(find(slots, name), Some(Slot::Claims | Slot::Arguments))
}

fn slot(expr: &IdedExpr) -> Option<Slot> {
    let variable = match &expr.expr {
        Expr::Literal(_) => return None,
        Expr::Ident(name) => (name == "claims").then_some(Slot::Claims),
        Expr::Select(select) if !select.test => member(&select.operand, &select.field),
        Expr::Call(call) if call.func_name == operators::INDEX => indexed(&call.args),
        _ => None,
    };
    variable.or_else(|| constant(expr))
}

/// `claims["name"]`, which is for names that cannot be written as `claims.name`.
fn indexed(args: &[IdedExpr]) -> Option<Slot> {
    let [of, index] = args else { return None };
    match &index.expr {
        Expr::Literal(LiteralValue::String(name)) => member(of, name.inner()),
        _ => None,
    }
}

fn member(of: &IdedExpr, name: &str) -> Option<Slot> {
    let key = || CelMapKey::String(CelString::from(name.to_owned()));
    match &of.expr {
        Expr::Ident(variable) if variable == "claims" => Some(Slot::Claim(key())),
        Expr::Ident(variable) => match (variable.as_str(), name) {
            ("mcp", "arguments") => Some(Slot::Arguments),
            (variable, name) => fact(variable, name).map(Slot::Fact),
        },
        Expr::Select(select) if !select.test && select.field == "arguments" => {
            let is_call = matches!(&select.operand.expr, Expr::Ident(name) if name == "mcp");
            is_call.then(|| Slot::Argument(key()))
        }
        _ => None,
    }
}

fn fact(variable: &str, member: &str) -> Option<Fact> {
    Some(match (variable, member) {
        ("client", "id") => Fact::ClientId,
        ("client", "address") => Fact::ClientAddress,
        ("mcp", "method") => Fact::Method,
        ("mcp", "name") => Fact::Name,
        ("mcp", "version") => Fact::Version,
        ("request", "method") => Fact::HttpMethod,
        ("request", "path") => Fact::Path,
        ("request", "host") => Fact::Host,
        ("request", "time") => Fact::Time,
        _ => return None,
    })
}

/// The value of a part that reads nothing. The check has evaluated it without error.
fn constant(expr: &IdedExpr) -> Option<Slot> {
    if !is_constant(expr) {
        return None;
    }
    let context = Context::with_env(environment());
    let value = Value::resolve_val(expr, &context).ok()?;
    Some(Slot::Constant(value.into_owned()))
}

fn is_constant(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Literal(_) => true,
        Expr::Select(select) => is_constant(&select.operand),
        Expr::Call(call) => {
            let mut parts = call.target.as_deref().into_iter().chain(&call.args);
            parts.all(is_constant)
        }
        Expr::List(list) => list.elements.iter().all(is_constant),
        Expr::Map(map) => map.entries.iter().all(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => is_constant(&entry.key) && is_constant(&entry.value),
            EntryExpr::StructField(_) => false,
        }),
        _ => false,
    }
}

fn literal(id: u64, text: &str) -> IdedExpr {
    IdedExpr {
        id,
        expr: Expr::Literal(LiteralValue::String(text.to_owned().into())),
    }
}

fn call(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr {
        func_name: name.to_owned(),
        target: None,
        args,
    })
}
