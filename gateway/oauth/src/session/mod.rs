//! Browsers in which somebody is signed in. [`browser_session`]: what the store keeps of one; [`cookie`]: how it is named;
//! [`interaction`]: an authorization request on its way through the pages; [`user`]: who can sign in; [`throttle`]: how often
//! somebody may try.

pub mod browser_session;
pub mod cookie;
pub mod interaction;
pub mod throttle;
pub mod user;

pub use browser_session::{
    Newcomer, Session, end, end_all_of, end_all_of_account, find, start, touch,
};
