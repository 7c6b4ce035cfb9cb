//! The commands that the scripts run. They are tried at each connect, and a user of the server needs them.

/// The commands in the scripts.
pub(super) const COMMANDS: &[&str] = &[
    "GET",
    "SET",
    "DEL",
    "EXISTS",
    "INCR",
    "TIME",
    "ZADD",
    "ZREM",
    "ZCARD",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::remote_store::testing::commands_in;

    #[test]
    fn every_command_of_the_scripts_is_tried_and_documented() {
        let scripts = [include_str!("exchange.lua"), include_str!("follow.lua")];
        let run: BTreeSet<_> = scripts.into_iter().flat_map(commands_in).collect();
        assert_eq!(run, COMMANDS.iter().copied().collect());
        let page = include_str!("../../../../../docs/authorization-server.md");
        for command in COMMANDS {
            assert!(page.contains(&format!("`{command}`")), "{command}");
        }
    }
}
