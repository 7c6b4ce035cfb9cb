//! Active checks: an endpoint is left out after several checks in a row that found it dead, and back after several that found it alive.

/// How many checks in a row decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Checks that find a dead endpoint alive, until it is back.
    pub rise: u32,
    /// Checks that find an endpoint dead, until it is left out.
    pub fall: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rise: 2, fall: 3 }
    }
}

/// What checks have found about one endpoint. It is alive until they find it dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    is_alive: bool,
    /// Checks in a row that found the contrary.
    contrary: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_alive: true,
            contrary: 0,
        }
    }
}

impl Health {
    /// Whether the endpoint is in use.
    pub const fn is_alive(self) -> bool {
        self.is_alive
    }

    /// A check ended. Returns whether the endpoint is left out or back because of it.
    pub const fn checked(&mut self, settings: Settings, found_alive: bool) -> bool {
        if found_alive == self.is_alive {
            self.contrary = 0;
            return false;
        }
        self.contrary = self.contrary.saturating_add(1);
        let needed = match found_alive {
            true => settings.rise,
            false => settings.fall,
        };
        if self.contrary < needed {
            return false;
        }
        *self = Self {
            is_alive: found_alive,
            contrary: 0,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states after these checks, `+` for alive and `-` for dead.
    fn states(settings: Settings, checks: &str) -> String {
        let mut health = Health::default();
        let mut state = |check| {
            health.checked(settings, check == '+');
            if health.is_alive() { '+' } else { '-' }
        };
        checks.chars().map(&mut state).collect()
    }

    #[test]
    fn checks_in_a_row_decide() {
        let (both, usual) = (Settings { rise: 1, fall: 1 }, Settings::default());
        for (settings, checks, expected) in [
            (both, "+-+--+", "+-+--+"),
            (usual, "--+--+--", "++++++++"),
            (usual, "---++-", "++--++"),
            (usual, "----+-+-++", "++-------+"),
            (usual, "-----", "++---"),
        ] {
            assert_eq!(states(settings, checks), expected, "{settings:?} {checks}");
        }
    }

    #[test]
    fn a_change_is_reported_once() {
        let (mut health, settings) = (Health::default(), Settings { rise: 2, fall: 2 });
        let reported = [false, false, false, true, true, true];
        let reported = reported.map(|alive| health.checked(settings, alive));
        assert_eq!(reported, [false, true, false, false, true, false]);
    }
}
