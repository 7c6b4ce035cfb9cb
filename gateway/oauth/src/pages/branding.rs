//! What operators may change about the pages: a name, a logo and a colour. The colour is made darker for light pages and lighter for
//! dark ones until it can be read (WCAG 2.2, 1.4.3).

use std::fmt;

/// The least contrast of text (WCAG 2.2, 1.4.3).
const LEAST_CONTRAST: f64 = 4.5;

/// How much a colour is moved at once.
const STEP: f64 = 0.04;

/// What operators may change about the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// What the server is called.
    pub name: String,
    /// Whether there is a logo at `/oauth/logo`.
    pub has_logo: bool,
    /// The colour of buttons and links.
    pub colour: Option<Colour>,
}

/// A colour of 24 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The text is not a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a colour such as `#1d5fc4`: # and six hexadecimal digits")]
pub struct NotAColour;

impl Colour {
    /// White.
    pub const WHITE: Self = Self([255; 3]);

    /// The text of buttons with a light colour.
    pub const DARK: Self = Self([0x0b, 0x10, 0x18]);

    /// A colour of red, green and blue.
    pub const fn new(rgb: [u8; 3]) -> Self {
        Self(rgb)
    }

    /// From `#` and six hexadecimal digits.
    ///
    /// # Errors
    /// [`NotAColour`].
    pub fn parse(text: &str) -> Result<Self, NotAColour> {
        let digits = text.strip_prefix('#').ok_or(NotAColour)?;
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAColour);
        }
        let number = u32::from_str_radix(digits, 16).map_err(|_| NotAColour)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }

    /// The contrast with another colour, from 1 to 21 (WCAG 2.2).
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour, moved towards `towards` until it can be read on `background`.
    #[must_use]
    pub fn readable_on(self, background: Self, towards: Self) -> Self {
        let mut colour = self;
        let mut share = 0.0;
        while colour.contrast(background) < LEAST_CONTRAST && share < 1.0 {
            share += STEP;
            colour = self.mixed(towards, share);
        }
        colour
    }

    /// The text colour that can be read best on this one.
    #[must_use]
    pub fn text_on(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::DARK) {
            Self::WHITE
        } else {
            Self::DARK
        }
    }

    fn mixed(self, other: Self, share: f64) -> Self {
        let mut mixed = self.0;
        for (own, other) in mixed.iter_mut().zip(other.0) {
            let between = f64::from(*own).mul_add(1.0 - share, f64::from(other) * share);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between two bytes"
            )]
            {
                *own = between.round().clamp(0.0, 255.0) as u8;
            }
        }
        Self(mixed)
    }

    fn luminance(self) -> f64 {
        let weights = [0.2126, 0.7152, 0.0722];
        let channels = self.0.into_iter().zip(weights);
        channels
            .map(|(channel, weight)| linear(f64::from(channel) / 255.0) * weight)
            .sum()
    }
}

fn linear(channel: f64) -> f64 {
    if channel <= 0.04045 {
        channel / 12.92
    } else {
        ((channel + 0.055) / 1.055).powf(2.4)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl fmt::Debug for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_read_as_it_is_written_and_only_so() {
        for text in ["#1d5fc4", "#000000", "#ffffff"] {
            assert_eq!(Colour::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Colour::parse("#ABCDEF").unwrap().to_string(), "#abcdef");
        for text in [
            "",
            "#",
            "1d5fc4",
            "#1d5fc",
            "#1d5fc4f",
            "#+d5fc4",
            "#1d5fg4",
            "red",
            "#fff",
            "#1d5fc4;}",
            "#\u{e9}\u{e9}\u{e9}",
        ] {
            assert_eq!(Colour::parse(text), Err(NotAColour), "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        let black = Colour::new([0; 3]);
        assert!((black.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        assert!((Colour::WHITE.contrast(Colour::WHITE) - 1.0).abs() < 1e-9);
        let grey = Colour::parse("#767676").unwrap();
        assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_colour_can_be_read_after_it_was_moved() {
        let channels = [0, 0x40, 0x80, 0xc0, 0xff];
        let dark = Colour::parse("#1d2129").unwrap();
        for red in channels {
            for green in channels {
                for blue in channels {
                    let colour = Colour::new([red, green, blue]);
                    let on_light = colour.readable_on(Colour::WHITE, Colour::DARK);
                    let on_dark = colour.readable_on(dark, Colour::WHITE);
                    assert!(
                        on_light.contrast(Colour::WHITE) >= LEAST_CONTRAST,
                        "{colour}"
                    );
                    assert!(on_dark.contrast(dark) >= LEAST_CONTRAST, "{colour}");
                    for button in [on_light, on_dark] {
                        let text = button.text_on();
                        assert!(button.contrast(text) >= LEAST_CONTRAST - 0.2, "{colour}");
                    }
                }
            }
        }
        let fine = Colour::parse("#1d5fc4").unwrap();
        assert_eq!(fine.readable_on(Colour::WHITE, Colour::DARK), fine);
    }
}
