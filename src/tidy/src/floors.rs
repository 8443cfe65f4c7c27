//! The floor law: a crate depends on lower floors only, never sideways and never up.
//!
//! Each manifest names its floor in `[package.metadata]`. Development crates stand on
//! [DEVELOPMENT]: they may use everything, and no product crate may use them outside its tests.

use cargo_metadata::{DependencyKind, Metadata};

use crate::Problem;

/// The floor of crates that are never part of the product.
const DEVELOPMENT: u64 = 99;

/// Outside crates that exactly one of ours may see.
const OWNERS: [(&str, &str); 5] = [
    ("axum", "api"),
    ("regex", "re2"),
    ("regex-automata", "re2"),
    ("regex-syntax", "re2"),
    ("rocksdb", "kv"),
];

/// What the rules need to know of one workspace crate.
#[derive(Debug)]
pub(crate) struct Crate {
    name: String,
    floor: Option<u64>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    kind: DependencyKind,
}

/// Collects the crates of the workspace from `cargo metadata`.
pub(crate) fn crates(metadata: &Metadata) -> Vec<Crate> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Crate {
            name: package.name.to_string(),
            floor: package
                .metadata
                .get("floor")
                .and_then(|floor| floor.as_u64()),
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| Dependency {
                    name: dependency.name.clone(),
                    kind: dependency.kind,
                })
                .collect(),
        })
        .collect()
}

/// Returns every arrow that breaks the floor law, and every crate without a floor.
pub(crate) fn check(crates: &[Crate]) -> Vec<Problem> {
    crates
        .iter()
        .flat_map(|package| check_crate(package, crates))
        .collect()
}

fn check_crate(package: &Crate, crates: &[Crate]) -> Vec<Problem> {
    let place = format!("crate {}", package.name);
    let Some(floor) = package.floor else {
        return vec![Problem::new(
            place,
            "has no floor = N under [package.metadata]",
        )];
    };
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        if let Some(message) = check_owner(package, dependency) {
            problems.push(Problem::new(place.clone(), message));
        }
        if let Some(message) = check_arrow(floor, dependency, crates) {
            problems.push(Problem::new(place.clone(), message));
        }
    }
    problems
}

fn check_owner(package: &Crate, dependency: &Dependency) -> Option<String> {
    let (outside, owner) = OWNERS
        .iter()
        .find(|(outside, _)| *outside == dependency.name)?;
    (*owner != package.name).then(|| format!("uses {outside}, which only {owner} may see"))
}

fn check_arrow(floor: u64, dependency: &Dependency, crates: &[Crate]) -> Option<String> {
    if floor == DEVELOPMENT || dependency.kind == DependencyKind::Development {
        return None;
    }
    let below = crates.iter().find(|other| other.name == dependency.name)?;
    let floor_below = below.floor?;
    if floor_below < floor {
        return None;
    }
    let reason = if floor_below == DEVELOPMENT {
        "is for development only"
    } else if floor_below == floor {
        "stands on the same floor"
    } else {
        "stands above it"
    };
    Some(format!(
        "is on floor {floor} and depends on {} of floor {floor_below}, which {reason}",
        below.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, floor: Option<u64>, dependencies: &[(&str, DependencyKind)]) -> Crate {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency {
                name: (*name).to_owned(),
                kind: *kind,
            })
            .collect();
        Crate {
            name: name.to_owned(),
            floor,
            dependencies,
        }
    }

    /// Checks crate `subject` among a small fixed workspace.
    #[track_caller]
    fn assert_problems(subject: Crate, want: &[&str]) {
        let workspace = [
            package("model", Some(1), &[]),
            package("kv", Some(4), &[("rocksdb", DependencyKind::Normal)]),
            package("testkit", Some(99), &[("promql", DependencyKind::Normal)]),
            package("promql", Some(5), &[("model", DependencyKind::Normal)]),
            subject,
        ];
        let got: Vec<String> = check(&workspace).iter().map(ToString::to_string).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn an_arrow_may_point_down() {
        use DependencyKind::{Build, Normal};
        assert_problems(
            package("scrape", Some(6), &[("model", Normal), ("promql", Build)]),
            &[],
        );
    }

    #[test]
    fn an_arrow_may_not_point_sideways_or_up() {
        use DependencyKind::{Build, Normal};
        assert_problems(
            package("tsdb", Some(5), &[("promql", Normal)]),
            &[
                "crate tsdb: is on floor 5 and depends on promql of floor 5, which stands on the same floor",
            ],
        );
        assert_problems(
            package("storage", Some(3), &[("kv", Build)]),
            &["crate storage: is on floor 3 and depends on kv of floor 4, which stands above it"],
        );
    }

    #[test]
    fn development_crates_serve_tests_and_each_other() {
        use DependencyKind::{Development, Normal};
        assert_problems(package("tsdb", Some(5), &[("testkit", Development)]), &[]);
        assert_problems(package("xtask", Some(99), &[("testkit", Normal)]), &[]);
        assert_problems(
            package("tsdb", Some(5), &[("testkit", Normal)]),
            &[
                "crate tsdb: is on floor 5 and depends on testkit of floor 99, which is for development only",
            ],
        );
    }

    #[test]
    fn an_owned_crate_stays_with_its_owner_even_in_tests() {
        assert_problems(
            package("tsdb", Some(5), &[("rocksdb", DependencyKind::Development)]),
            &["crate tsdb: uses rocksdb, which only kv may see"],
        );
        assert_problems(
            package("api", Some(8), &[("axum", DependencyKind::Normal)]),
            &[],
        );
    }

    #[test]
    fn a_crate_needs_a_floor() {
        assert_problems(
            package("tsdb", None, &[]),
            &["crate tsdb: has no floor = N under [package.metadata]"],
        );
    }
}
