//! What the gateway may cost at most: the figures of `tests/budgets.yaml`, which changes on purpose only.

/// Read when a test runs, so that another figure does not build all tests again.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../budgets.yaml");

/// The budget of this name.
///
/// # Panics
/// If the file has no line `name: figure`.
pub fn budget(name: &str) -> f64 {
    let file = std::fs::read_to_string(FILE).expect("tests/budgets.yaml");
    let value = file
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("tests/budgets.yaml has no line `{name}: figure`"))
}

/// Fails when `found` is more than the budget of this name, and prints both.
///
/// # Panics
/// If it is more, or if nothing at all was found: then the test measures nothing.
pub fn within_budget(name: &str, found: f64) {
    let allowed = budget(name);
    println!("{name}: {found:.0} (at most {allowed})");
    assert!(found > 0.0, "{name}: nothing was measured");
    assert!(
        found <= allowed,
        "{name}: found {found:.1}, at most {allowed} is allowed (tests/budgets.yaml)"
    );
}

/// The bytes of a future that nobody runs.
pub fn future_bytes<F: Future>(_: impl FnOnce() -> F) -> f64 {
    size_of::<F>() as f64
}

/// An argument of a function that nobody calls.
///
/// # Panics
/// Always: it is only named, so that the compiler knows the type.
pub fn uncalled<T>() -> T {
    panic!("only its type is used")
}
