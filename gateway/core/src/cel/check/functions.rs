//! The functions and operators that conditions can use, and the types that they accept.
//!
//! They are those of CEL's standard library, without functions over lists (`all`, `exists`, `map` …), regular expressions, and
//! functions that conditions do not need (`bytes`, `type`, `dyn`).

use CallForm::{Either, Global, Method, Operator};
use TypeKind::{Any, Bool, Double, Duration, Int, List, Map, Number, Text, Time, Uint};

/// What is known about a value's type before there is a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TypeKind {
    /// Unknown until the request: claims and arguments.
    Any,
    Bool,
    Int,
    Uint,
    Double,
    /// `int`, `uint` or `double`: what a function accepts, never the type of a value.
    Number,
    Text,
    Null,
    List,
    Map,
    Time,
    Duration,
}

impl TypeKind {
    /// Whether a value of this kind can be of the `wanted` kind.
    pub(crate) fn may_be(self, wanted: Self) -> bool {
        self == Any || wanted == Any || self == wanted || (wanted == Number && self.is_number())
    }

    /// Whether two values can be equal: CEL compares numbers by value, and all other types only with the same type.
    pub(crate) fn may_equal(self, other: Self) -> bool {
        self.may_be(other) || (self.is_number() && other.is_number())
    }

    fn is_number(self) -> bool {
        matches!(self, Int | Uint | Double | Number)
    }

    /// Its name in messages: CEL's own.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Any => "any value",
            Bool => "bool",
            Int => "int",
            Uint => "uint",
            Double => "double",
            Number => "number",
            Text => "string",
            Self::Null => "null",
            List => "list",
            Map => "map",
            Time => "timestamp",
            Duration => "duration",
        }
    }
}

/// How a function is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallForm {
    /// `f(x)`
    Global,
    /// `x.f()`
    Method,
    /// Either of these.
    Either,
    /// `x + y`
    Operator,
}

/// A function or operator, with its name in CEL's syntax tree.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    form: CallForm,
    /// The accepted types (for a method, the value before the dot is the first), and the type of the result.
    signatures: &'static [(&'static [TypeKind], TypeKind)],
}

const GET: &[(&[TypeKind], TypeKind)] = &[(&[Time], Int), (&[Time, Text], Int)];
const GET_TIME_OF_DAY: &[(&[TypeKind], TypeKind)] =
    &[(&[Time], Int), (&[Time, Text], Int), (&[Duration], Int)];
const IS_IN_TEXT: &[(&[TypeKind], TypeKind)] = &[(&[Text, Text], Bool)];
const COMPARES: &[(&[TypeKind], TypeKind)] = &[
    (&[Number, Number], Bool),
    (&[Text, Text], Bool),
    (&[Time, Time], Bool),
    (&[Duration, Duration], Bool),
    (&[Bool, Bool], Bool),
];
const MULTIPLIES: &[(&[TypeKind], TypeKind)] = &[
    (&[Int, Int], Int),
    (&[Uint, Uint], Uint),
    (&[Double, Double], Double),
];
const JOINS: &[(&[TypeKind], TypeKind)] = &[(&[Bool, Bool], Bool)];

const FUNCTIONS: &[Function] = &[
    Function {
        name: "size",
        form: Either,
        signatures: &[(&[Text], Int), (&[List], Int), (&[Map], Int)],
    },
    function("contains", Method, IS_IN_TEXT),
    function("startsWith", Method, IS_IN_TEXT),
    function("endsWith", Method, IS_IN_TEXT),
    Function {
        name: "int",
        form: Global,
        signatures: &[(&[Number], Int), (&[Text], Int), (&[Time], Int)],
    },
    Function {
        name: "uint",
        form: Global,
        signatures: &[(&[Number], Uint), (&[Text], Uint)],
    },
    Function {
        name: "double",
        form: Global,
        signatures: &[(&[Number], Double), (&[Text], Double)],
    },
    Function {
        name: "string",
        form: Global,
        signatures: &[
            (&[Text], Text),
            (&[Bool], Text),
            (&[Number], Text),
            (&[Time], Text),
            (&[Duration], Text),
        ],
    },
    Function {
        name: "timestamp",
        form: Global,
        signatures: &[(&[Text], Time), (&[Int], Time), (&[Time], Time)],
    },
    Function {
        name: "duration",
        form: Global,
        signatures: &[(&[Text], Duration), (&[Duration], Duration)],
    },
    function("getFullYear", Method, GET),
    function("getMonth", Method, GET),
    function("getDate", Method, GET),
    function("getDayOfMonth", Method, GET),
    function("getDayOfWeek", Method, GET),
    function("getDayOfYear", Method, GET),
    function("getHours", Method, GET_TIME_OF_DAY),
    function("getMinutes", Method, GET_TIME_OF_DAY),
    function("getSeconds", Method, GET_TIME_OF_DAY),
    function("getMilliseconds", Method, GET_TIME_OF_DAY),
    function("_&&_", Operator, JOINS),
    function("_||_", Operator, JOINS),
    function("!_", Operator, &[(&[Bool], Bool)]),
    function("-_", Operator, &[(&[Int], Int), (&[Double], Double)]),
    function("_<_", Operator, COMPARES),
    function("_<=_", Operator, COMPARES),
    function("_>_", Operator, COMPARES),
    function("_>=_", Operator, COMPARES),
    function(
        "@in",
        Operator,
        &[(&[Any, List], Bool), (&[Any, Map], Bool)],
    ),
    Function {
        name: "_[_]",
        form: Operator,
        signatures: &[(&[List, Number], Any), (&[Map, Any], Any)],
    },
    Function {
        name: "_+_",
        form: Operator,
        signatures: &[
            (&[Int, Int], Int),
            (&[Uint, Uint], Uint),
            (&[Double, Double], Double),
            (&[Text, Text], Text),
            (&[List, List], List),
            (&[Time, Duration], Time),
            (&[Duration, Time], Time),
            (&[Duration, Duration], Duration),
        ],
    },
    Function {
        name: "_-_",
        form: Operator,
        signatures: &[
            (&[Int, Int], Int),
            (&[Uint, Uint], Uint),
            (&[Double, Double], Double),
            (&[Time, Duration], Time),
            (&[Time, Time], Duration),
            (&[Duration, Duration], Duration),
        ],
    },
    function("_*_", Operator, MULTIPLIES),
    function("_/_", Operator, MULTIPLIES),
    function(
        "_%_",
        Operator,
        &[(&[Int, Int], Int), (&[Uint, Uint], Uint)],
    ),
];

const fn function(
    name: &'static str,
    form: CallForm,
    signatures: &'static [(&'static [TypeKind], TypeKind)],
) -> Function {
    Function {
        name,
        form,
        signatures,
    }
}

/// The function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The names of all functions, without operators.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let written = FUNCTIONS
        .iter()
        .filter(|function| function.form != Operator);
    std::iter::once("has").chain(written.map(|function| function.name))
}

impl Function {
    /// Whether it can be written as a method, or as a function.
    pub(crate) fn may_be_written(&self, as_method: bool) -> bool {
        match self.form {
            Global | Operator => !as_method,
            Method => as_method,
            Either => true,
        }
    }

    /// The type of the result for values of these kinds; `None` where it does not accept them.
    pub(crate) fn gives(&self, kinds: &[TypeKind]) -> Option<TypeKind> {
        let fitting = |(takes, _): &&(&[TypeKind], TypeKind)| {
            takes.len() == kinds.len()
                && kinds
                    .iter()
                    .zip(takes.iter())
                    .all(|(kind, wanted)| kind.may_be(*wanted))
        };
        let mut gives = self
            .signatures
            .iter()
            .filter(fitting)
            .map(|(_, gives)| *gives);
        let first = gives.next()?;
        Some(if gives.all(|other| other == first) {
            first
        } else {
            Any
        })
    }

    /// Every form in which it can be written.
    pub(crate) fn forms(&self) -> String {
        let forms = self.signatures.iter().map(|(takes, _)| self.form_of(takes));
        forms.collect::<Vec<_>>().join(", ")
    }

    fn form_of(&self, takes: &[TypeKind]) -> String {
        let names: Vec<&str> = takes.iter().map(|kind| kind.name()).collect();
        match (self.form, names.as_slice()) {
            (Method, [on, rest @ ..]) => format!("{on}.{}({})", self.name, rest.join(", ")),
            (Operator, [left, right]) if self.name == "_[_]" => format!("{left}[{right}]"),
            (Operator, [left, right]) => format!("{left} {} {right}", shown(self.name)),
            (Operator, [only]) => format!("{}{only}", shown(self.name)),
            _ => format!("{}({})", self.name, names.join(", ")),
        }
    }
}

/// A function or operator as it is written in a condition.
pub(crate) fn shown(name: &str) -> &str {
    match name {
        "_?_:_" => "? :",
        "_[_]" => "[]",
        name => name.trim_matches(['_', '@']),
    }
}
