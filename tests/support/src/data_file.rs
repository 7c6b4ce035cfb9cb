//! Data files of hostile and good inputs: a line for each input, its fields separated by tabs, comments after `# `.

/// The lines of a data file, each as its fields. In a field, ⟨HEX⟩ is the character of that number, ⟨HEX*TIMES⟩ is it repeated.
///
/// # Panics
/// If an escape is not of this form.
pub fn data_lines(file: &str) -> Vec<Vec<String>> {
    let lines = file.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    lines
        .map(|line| line.split('\t').map(expanded).collect())
        .collect()
}

fn expanded(field: &str) -> String {
    let mut parts = field.split(['⟨', '⟩']);
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let (Some(escape), Some(plain)) = (parts.next(), parts.next()) {
        let (number, times) = escape.split_once('*').unwrap_or((escape, "1"));
        let number = u32::from_str_radix(number, 16).expect("a hexadecimal number");
        let character = char::from_u32(number).expect("a character");
        text.extend(std::iter::repeat_n(
            character,
            times.parse().expect("a count"),
        ));
        text.push_str(plain);
    }
    text
}
