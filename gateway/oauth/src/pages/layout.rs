//! What all pages have: a title and how they look.

use super::branding::Branding;

/// The frame of a page.
pub(super) struct Layout<'a> {
    pub(super) title: String,
    pub(super) branding: &'a Branding,
}

impl<'a> Layout<'a> {
    /// A page with this title. It ends with the server's name.
    pub(super) fn new(branding: &'a Branding, title: &str) -> Self {
        Self {
            title: format!("{title} – {}", branding.name),
            branding,
        }
    }
}
