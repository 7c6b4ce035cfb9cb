//! People who sign in with a password. [`sign_in`]: may somebody try, and is the password right; [`hashing`]: passwords are hashed and
//! verified by one thread of their own; [`gone`]: what people allowed ends who are no longer in the file. The users file is read by
//! [`crate::config::users_file`].

pub(crate) mod gone;
pub(crate) mod hashing;
pub(crate) mod sign_in;
