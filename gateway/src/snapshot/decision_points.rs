//! The decision points of a configuration, by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::error::SnapshotError;
use crate::{config::Config, decision::point::DecisionPoint, telemetry::metrics::Metrics};

/// Every configured decision point.
pub(super) type PointsByName = BTreeMap<String, Arc<DecisionPoint>>;

/// The decision points of `config`; unchanged ones are reused from `previous`, with their answers.
///
/// # Errors
/// A file of one cannot be used.
pub(super) fn by_name(
    config: &Config,
    metrics: &Metrics,
    previous: Option<&PointsByName>,
    changed_files: &BTreeSet<PathBuf>,
) -> Result<PointsByName, SnapshotError> {
    let points = config.decision_points.iter().map(|(name, configured)| {
        let previous = previous.and_then(|previous| previous.get(name));
        let point = DecisionPoint::reuse_or_new(previous, configured, metrics, changed_files);
        let point = point.map_err(|error| SnapshotError::DecisionPoint {
            name: name.clone(),
            error,
        });
        Ok((name.clone(), point?))
    });
    points.collect()
}
