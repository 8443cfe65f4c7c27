//! Which series meet, worked out from their labels.

use hashbrown::HashMap;
use model::Labels;
use promql_syntax::ast::{MatchCardinality, VectorMatching};

use super::super::elementwise::Elementwise;
use super::super::matching::{MatchGroups, result_labels};
use crate::error::EngineError;
use crate::operators::{NameRemoval, SeriesMeta};

/// All outputs of a join, in order of the many side's series.
pub(super) struct JoinPlan {
    pub(super) outputs: Vec<Output>,
    /// Groups with several series on the one side.
    pub(super) contested: Vec<ContestedGroup>,
    /// How many sets of results there are that exclude each other.
    pub(super) exclusive_results: usize,
    /// For each series of the one side its group, if that has several series there: whether the
    /// many side asks for the group or not. Counted from 0.
    pub(super) crowds: Vec<Option<usize>>,
    many_uses: Vec<u32>,
    one_uses: Vec<u32>,
}

/// One output series.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) many: usize,
    pub(super) one: OneSide,
    /// The set of results of which only one may have a match at a step.
    pub(super) exclusive: Option<usize>,
}

/// The one side of an output.
#[derive(Clone, Copy)]
pub(super) enum OneSide {
    /// The only series of its group.
    Single(usize),
    /// Several series, which must take turns. Those that give results with different labels are
    /// variants.
    Contested { group: usize, variant: usize },
}

/// A group with several series on the one side.
pub(super) struct ContestedGroup {
    /// Series and their variants.
    pub(super) members: Vec<(usize, usize)>,
    pub(super) variants: usize,
    /// How many outputs need the group.
    pub(super) uses: usize,
}

/// The one side of a match group.
enum Group {
    Single(usize),
    Contested {
        index: usize,
        representatives: Vec<usize>,
    },
}

impl JoinPlan {
    /// Works out the matches; gives the labels of the outputs too.
    pub(super) fn new(
        (many, one): (&[SeriesMeta], &[SeriesMeta]),
        element: &Elementwise,
        matching: &VectorMatching,
        removal: NameRemoval,
    ) -> Result<(Self, Vec<SeriesMeta>), EngineError> {
        let mut numbers = MatchGroups::new(matching);
        let many_groups: Vec<usize> = many
            .iter()
            .map(|meta| numbers.number(&meta.labels))
            .collect();
        let matched_groups = numbers.len();
        let one_groups: Vec<usize> = one
            .iter()
            .map(|meta| numbers.number(&meta.labels))
            .collect();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); matched_groups];
        for (series, group) in one_groups.iter().enumerate() {
            if let Some(members) = members.get_mut(*group) {
                members.push(series);
            }
        }
        let mut plan = Self {
            outputs: Vec::new(),
            contested: Vec::new(),
            exclusive_results: 0,
            crowds: find_crowds(&one_groups, numbers.len()),
            many_uses: vec![0; many.len()],
            one_uses: vec![0; one.len()],
        };
        let groups: Vec<Option<Group>> = members
            .into_iter()
            .map(|members| plan.group(members, one, matching))
            .collect();
        let changes_metric = element.changes_metric();
        let drops_now = element.drops_metadata(removal);
        let mut metas = Vec::new();
        let mut output_groups = Vec::new();
        for (series, group) in many_groups.iter().enumerate() {
            let meta = &many[series];
            for (one_side, representative) in plan.one_sides(groups[*group].as_ref()) {
                let labels = result_labels(meta, &one[representative].labels, matching, drops_now)?;
                let drop_name = !drops_now && (meta.drop_name || changes_metric);
                metas.push(SeriesMeta { labels, drop_name });
                output_groups.push(*group);
                plan.many_uses[series] += 1;
                plan.outputs.push(Output {
                    many: series,
                    one: one_side,
                    exclusive: None,
                });
            }
        }
        plan.find_exclusive(&metas, &output_groups, matching);
        Ok((plan, metas))
    }

    /// How often each series of the many and of the one side is going to be read.
    pub(super) fn take_uses(&mut self) -> (Vec<u32>, Vec<u32>) {
        (
            std::mem::take(&mut self.many_uses),
            std::mem::take(&mut self.one_uses),
        )
    }

    fn group(
        &mut self,
        members: Vec<usize>,
        one: &[SeriesMeta],
        matching: &VectorMatching,
    ) -> Option<Group> {
        match members.as_slice() {
            [] => return None,
            [series] => return Some(Group::Single(*series)),
            _ => {}
        }
        // Results have different labels only where those taken from the one side differ.
        let mut variants: HashMap<Labels, usize> = HashMap::new();
        let mut representatives = Vec::new();
        let mut sorted = Vec::with_capacity(members.len());
        for series in members {
            let included = one[series].labels.keep(&matching.include);
            let variant = *variants.entry(included).or_insert(representatives.len());
            if variant == representatives.len() {
                representatives.push(series);
            }
            sorted.push((series, variant));
            self.one_uses[series] = 1;
        }
        let index = self.contested.len();
        let variants = representatives.len();
        self.contested.push(ContestedGroup {
            members: sorted,
            variants,
            uses: 0,
        });
        Some(Group::Contested {
            index,
            representatives,
        })
    }

    /// What a series of the many side meets, each with a series whose labels it takes over.
    fn one_sides(&mut self, group: Option<&Group>) -> Vec<(OneSide, usize)> {
        match group {
            None => Vec::new(),
            Some(Group::Single(series)) => {
                self.one_uses[*series] += 1;
                vec![(OneSide::Single(*series), *series)]
            }
            Some(Group::Contested {
                index,
                representatives,
            }) => {
                self.contested[*index].uses += representatives.len();
                representatives
                    .iter()
                    .enumerate()
                    .map(|(variant, series)| {
                        (
                            OneSide::Contested {
                                group: *index,
                                variant,
                            },
                            *series,
                        )
                    })
                    .collect()
            }
        }
    }

    /// Finds the results that exclude each other: of a one-to-one match all of a group, otherwise
    /// those of a group that have the same labels.
    fn find_exclusive(
        &mut self,
        metas: &[SeriesMeta],
        groups: &[usize],
        matching: &VectorMatching,
    ) {
        let is_one_to_one = matching.card == MatchCardinality::OneToOne;
        let mut first_of: HashMap<(usize, Option<&Labels>), usize> = HashMap::new();
        for (output, (meta, group)) in metas.iter().zip(groups).enumerate() {
            let labels = (!is_one_to_one).then_some(&meta.labels);
            let first = *first_of.entry((*group, labels)).or_insert(output);
            if first == output {
                continue;
            }
            let set = match self.outputs[first].exclusive {
                Some(set) => set,
                None => {
                    self.exclusive_results += 1;
                    self.exclusive_results - 1
                }
            };
            self.outputs[first].exclusive = Some(set);
            self.outputs[output].exclusive = Some(set);
        }
    }
}

/// Renumbers the groups that have several series; the others have no number.
fn find_crowds(group_of: &[usize], groups: usize) -> Vec<Option<usize>> {
    let mut sizes = vec![0_usize; groups];
    for group in group_of {
        sizes[*group] += 1;
    }
    let mut crowds = 0;
    let numbers: Vec<Option<usize>> = sizes
        .into_iter()
        .map(|size| {
            (size > 1).then(|| {
                crowds += 1;
                crowds - 1
            })
        })
        .collect();
    group_of.iter().map(|group| numbers[*group]).collect()
}
