//! `--enable-feature`: names as upstream's, and what they turn on.

use promql::{EngineOptions, NameRemoval, TypeLabels};

/// What is turned on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    on: Vec<Feature>,
    /// Names that were accepted but do nothing, and why.
    idle: Vec<(String, &'static str)>,
    unknown: Vec<String>,
}

/// A feature that can be turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    ExperimentalFunctions,
    DelayedNameRemoval,
    ExtendedRangeSelectors,
    FillModifiers,
    PerStepStats,
    TypeAndUnitLabels,
    StartTimestamps,
    ExemplarStorage,
}

/// Name, feature, and what is logged when it is turned on.
const FEATURES: [(&str, Feature, &str); 8] = [
    (
        "promql-experimental-functions",
        Feature::ExperimentalFunctions,
        "Experimental PromQL functions enabled.",
    ),
    (
        "exemplar-storage",
        Feature::ExemplarStorage,
        "Experimental in-memory exemplar storage enabled",
    ),
    (
        "promql-delayed-name-removal",
        Feature::DelayedNameRemoval,
        "Experimental PromQL delayed name removal enabled.",
    ),
    (
        "promql-extended-range-selectors",
        Feature::ExtendedRangeSelectors,
        "Experimental PromQL extended range selectors enabled.",
    ),
    (
        "promql-binop-fill-modifiers",
        Feature::FillModifiers,
        "Experimental PromQL binary operator fill modifiers enabled.",
    ),
    (
        "promql-per-step-stats",
        Feature::PerStepStats,
        "Experimental per-step statistics reporting",
    ),
    (
        "type-and-unit-labels",
        Feature::TypeAndUnitLabels,
        "Experimental type and unit labels enabled",
    ),
    (
        "use-start-timestamps",
        Feature::StartTimestamps,
        "Experimental start timestamps usage in PromQL enabled",
    ),
];

const PERMANENT: &str =
    "This option for --enable-feature is now permanently enabled and therefore a no-op.";

const NATIVE_HISTOGRAMS: &str = "This option for --enable-feature is a no-op. Native histograms are \
                                 always understood.";

/// Names that do nothing any more, and what is logged about them.
const IDLE: [(&str, &str); 4] = [
    ("promql-duration-expr", PERMANENT),
    ("promql-at-modifier", PERMANENT),
    ("promql-negative-offset", PERMANENT),
    ("native-histograms", NATIVE_HISTOGRAMS),
];

impl Features {
    /// Reads the values of the flag: lists of names, separated by commas.
    #[must_use]
    pub(crate) fn parse(lists: &[String]) -> Self {
        let mut features = Self::default();
        let names = lists.iter().flat_map(|list| list.split(','));
        for name in names.filter(|name| !name.is_empty()) {
            if let Some((_, feature, _)) = FEATURES.iter().find(|(known, ..)| *known == name) {
                if !features.is_on(*feature) {
                    features.on.push(*feature);
                }
            } else if let Some((_, why)) = IDLE.iter().find(|(known, _)| *known == name) {
                features.idle.push((name.to_owned(), why));
            } else {
                features.unknown.push(name.to_owned());
            }
        }
        features
    }

    fn is_on(&self, feature: Feature) -> bool {
        self.on.contains(&feature)
    }

    /// Says in the log what is on and what was not understood.
    pub(crate) fn log(&self) {
        for (_, feature, text) in FEATURES {
            if self.is_on(feature) {
                tracing::info!("{text}");
            }
        }
        for (option, why) in &self.idle {
            tracing::warn!(option, "{why}");
        }
        for option in &self.unknown {
            tracing::warn!(option, "Unknown option for --enable-feature");
        }
    }

    /// How many exemplars are kept, of those that the configuration allows.
    pub(crate) fn max_exemplars(&self, configured: usize) -> usize {
        match self.is_on(Feature::ExemplarStorage) {
            true => configured,
            false => 0,
        }
    }

    /// Turns on what belongs to queries.
    pub(crate) fn apply(&self, options: &mut EngineOptions) {
        let is_on = |feature| self.is_on(feature);
        options.parser.enable_experimental_functions |= is_on(Feature::ExperimentalFunctions);
        options.parser.enable_extended_range_selectors |= is_on(Feature::ExtendedRangeSelectors);
        options.parser.enable_fill_modifiers |= is_on(Feature::FillModifiers);
        options.use_start_timestamps |= is_on(Feature::StartTimestamps);
        options.per_step_stats |= is_on(Feature::PerStepStats);
        if is_on(Feature::DelayedNameRemoval) {
            options.name_removal = NameRemoval::Delayed;
        }
        if is_on(Feature::TypeAndUnitLabels) {
            options.type_and_unit_labels = TypeLabels::Trusted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_lists() {
        let lists = [
            "promql-per-step-stats,,native-histograms,promql-experimental-functions".to_owned(),
            "promql-per-step-stats,no-such-thing".to_owned(),
        ];
        let features = Features::parse(&lists);
        assert_eq!(
            features.on,
            [Feature::PerStepStats, Feature::ExperimentalFunctions]
        );
        assert_eq!(
            features.idle,
            [("native-histograms".to_owned(), NATIVE_HISTOGRAMS)]
        );
        assert_eq!(features.unknown, ["no-such-thing"]);
    }

    #[test]
    fn every_name_changes_its_own_setting() {
        let settings = |names: &str| {
            let mut options = EngineOptions::default();
            let features = Features::parse(&[names.to_owned()]);
            features.apply(&mut options);
            format!("{options:?} {}", features.max_exemplars(1))
        };
        let mut seen = vec![settings("")];
        for (name, ..) in FEATURES {
            let changed = settings(name);
            assert!(!seen.contains(&changed), "{name}");
            seen.push(changed);
        }
        for (name, _) in IDLE {
            assert_eq!(settings(name), settings(""), "{name}");
        }
    }
}
