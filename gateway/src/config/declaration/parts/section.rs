//! Sections whose keys are read independently: one declaration is the checked type with its defaults, its reading, and the
//! description of its keys.
//!
//! ```text
//! section! {
//!     /// What the checked type is for.
//!     #[derive(Copy)]
//!     pub struct Limits {
//!         /// What the key does: the documentation of the field, and the sentence in the JSON Schema.
//!         header_bytes: usize = size(32 * KIB, KIB..=MIB),
//!     }
//! }
//! ```
//!
//! A key is its name, its type, and one of the functions of [`setting`](super::setting) with default and range. Keys of the
//! section that are read elsewhere follow after the braces, `and [...]`.

use super::key::Table;
use crate::config::reading::reader::Section;

/// A section whose keys are read independently.
pub(crate) trait Settings: Sized {
    /// The declarations of its keys.
    fn table() -> Table;

    /// Reads its keys, and no other keys of the section.
    fn read(section: &Section<'_>) -> Self;
}

macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $(#[derive($($derived:ident),+)])?
        pub struct $name:ident {
            $(
                $(#[doc = $sentence:literal])+
                $key:ident: $read:ty = $setting:ident($($argument:expr),+),
            )+
        }
        $(and [$($elsewhere:expr),+])?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq $($(, $derived)+)?)]
        pub struct $name {
            $(
                $(#[doc = $sentence])+
                pub $key: $read,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $setting(stringify!($key), $($argument,)+ "").default(),)+ }
            }
        }

        impl $crate::config::declaration::parts::section::Settings for $name {
            fn table() -> $crate::config::declaration::parts::key::Table {
                $crate::config::declaration::parts::key::Table {
                    name: stringify!($name),
                    keys: vec![
                        $($setting(stringify!($key), $($argument,)+ concat!($($sentence),+)).key(),)+
                        $($($elsewhere,)+)?
                    ],
                }
            }

            fn read(section: &$crate::config::reading::reader::Section<'_>) -> Self {
                Self { $($key: $setting(stringify!($key), $($argument,)+ "").read(section),)+ }
            }
        }
    };
}

pub(crate) use section;
