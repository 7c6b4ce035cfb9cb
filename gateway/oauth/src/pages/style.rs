//! The style sheet at `/oauth.css`, with the operator's colour.

use super::branding::{Branding, Colour};

/// The style sheet without a colour of the operator.
pub const STYLE_SHEET: &str = include_str!("../../templates/oauth.css");

/// The background of light pages.
const LIGHT: Colour = Colour::WHITE;

/// The background of dark pages.
const DARK: Colour = Colour::new([0x1d, 0x21, 0x29]);

/// The style sheet.
pub fn style_sheet(branding: &Branding) -> String {
    let Some(colour) = branding.colour else {
        return STYLE_SHEET.to_owned();
    };
    let light = accent(colour.readable_on(LIGHT, Colour::DARK));
    let dark = accent(colour.readable_on(DARK, Colour::WHITE));
    format!("{STYLE_SHEET}{light}@media (prefers-color-scheme: dark) {{ {dark}}}\n")
}

fn accent(colour: Colour) -> String {
    let text = colour.text_on();
    format!(":root {{ --accent: {colour}; --on-accent: {text}; }}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_colour_is_at_the_end_for_light_and_dark() {
        let mut branding = Branding {
            name: "Tasks".to_owned(),
            has_logo: false,
            colour: None,
        };
        assert_eq!(style_sheet(&branding), STYLE_SHEET);
        branding.colour = Colour::parse("#ffe000").ok();
        let sheet = style_sheet(&branding);
        let added = sheet.strip_prefix(STYLE_SHEET).unwrap();
        assert!(!added.contains(":root { --accent: #ffe000; --on-accent: #ffffff; }"));
        assert!(
            added.contains("--accent: #ffe000; --on-accent: #0b1018;"),
            "{added}"
        );
        assert_eq!(added.matches("--accent").count(), 2);
    }

    #[test]
    fn the_style_sheet_loads_nothing_and_knows_the_backgrounds() {
        for word in ["url(", "@import", "@font-face"] {
            assert!(!STYLE_SHEET.contains(word), "{word}");
        }
        assert!(STYLE_SHEET.contains(&format!("--card: {LIGHT};")));
        assert!(STYLE_SHEET.contains(&format!("--card: {DARK};")));
        assert!(STYLE_SHEET.len() < 8 * 1024);
    }
}
