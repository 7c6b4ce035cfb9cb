//! The environment in which CEL conditions are compiled and evaluated: the standard library without optional values, and of
//! its macros only `has()`.

use std::sync::{Arc, LazyLock};

use cel::Env;
use cel::common::ast::{Expr, IdedExpr, operators};
use cel::parser::{Macro, MacroExprHelper, ParseError};

use super::equality;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::default().with_optional_support(false).with_stdlib();
    let has = Macro::global(operators::HAS, 1, |helper, _, arguments| {
        has(helper, arguments)
    });
    // It cannot be there already: the environment begins without macros, and without it has() is an unknown function.
    let _ = environment.add_macro(has);
    equality::add_to(&mut environment);
    Arc::new(environment)
});

/// The one environment.
pub(crate) fn environment() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

/// `has(a.b)`: whether `a` has a member `b` (CEL's language definition, Macros).
fn has(
    helper: &mut MacroExprHelper<'_>,
    arguments: &mut Vec<IdedExpr>,
) -> Result<Option<IdedExpr>, ParseError> {
    let argument = arguments.pop().unwrap_or_default();
    match argument.expr {
        Expr::Select(mut select) => {
            select.test = true;
            Ok(Some(helper.next_expr(Expr::Select(select))))
        }
        _ => Err(helper.new_error(
            argument.id,
            "has() requires a member, such as has(claims.department)",
        )),
    }
}
