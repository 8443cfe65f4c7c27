//! The series that have one label value. Most values are those of few series, so that a set of up
//! to three ids takes no memory of its own, and one of a few dozen is a sorted list.

use roaring::RoaringBitmap;

/// Ids that fit beside the set's length.
const INLINE_IDS: usize = 3;
/// Longer lists become bitmaps.
const MAX_LIST: usize = 32;

/// A set of series ids.
#[derive(Debug)]
pub(crate) enum Postings {
    /// The first `length` of `ids`, sorted.
    Few {
        length: u8,
        ids: [u32; INLINE_IDS],
    },
    /// Sorted ids. A pointer, so that sets stay small.
    #[expect(clippy::box_collection, reason = "a vector would double a set's size")]
    List(Box<Vec<u32>>),
    Many(Box<RoaringBitmap>),
}

impl Default for Postings {
    fn default() -> Self {
        Self::Few {
            length: 0,
            ids: [0; INLINE_IDS],
        }
    }
}

impl Postings {
    /// How many ids there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Many(bitmap) => bitmap.len(),
            _ => self.listed().len() as u64,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Many(bitmap) => bitmap.is_empty(),
            _ => self.listed().is_empty(),
        }
    }

    /// The ids of a set that is not a bitmap.
    fn listed(&self) -> &[u32] {
        match self {
            Self::Few { length, ids } => ids.get(..usize::from(*length)).unwrap_or_default(),
            Self::List(ids) => ids,
            Self::Many(_) => &[],
        }
    }

    /// Adds an id; `false` if it was there.
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        let at = match self {
            Self::Many(bitmap) => return bitmap.insert(id),
            _ => match self.listed().last() {
                // New series have the highest ids.
                Some(last) if *last < id => self.listed().len(),
                _ => match self.listed().binary_search(&id) {
                    Ok(_) => return false,
                    Err(at) => at,
                },
            },
        };
        match self {
            Self::Few { length, ids } if usize::from(*length) < INLINE_IDS => {
                let end = usize::from(*length);
                ids.copy_within(at..end, at + 1);
                ids[at] = id;
                *length += 1;
            }
            Self::List(ids) if ids.len() < MAX_LIST => ids.insert(at, id),
            Self::Few { .. } => {
                let mut ids = Vec::with_capacity(2 * INLINE_IDS);
                ids.extend_from_slice(self.listed());
                ids.insert(at, id);
                *self = Self::List(Box::new(ids));
            }
            Self::List(ids) => {
                let mut bitmap: RoaringBitmap = ids.iter().copied().collect();
                bitmap.insert(id);
                *self = Self::Many(Box::new(bitmap));
            }
            Self::Many(_) => {}
        }
        true
    }

    /// Removes an id; `false` if it was not there.
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::Few { length, ids } => {
                let end = usize::from(*length);
                let Some(at) = ids[..end].iter().position(|known| *known == id) else {
                    return false;
                };
                ids.copy_within(at + 1..end, at);
                *length -= 1;
            }
            Self::List(ids) => {
                let Ok(at) = ids.binary_search(&id) else {
                    return false;
                };
                ids.remove(at);
                if ids.len() <= INLINE_IDS {
                    *self = ids.iter().copied().collect();
                }
            }
            Self::Many(bitmap) => {
                if !bitmap.remove(id) {
                    return false;
                }
                if bitmap.len() <= MAX_LIST as u64 / 2 {
                    *self = bitmap.iter().collect();
                }
            }
        }
        true
    }

    /// Takes as little memory as it can. New ids are added to what that left.
    pub(crate) fn compress(&mut self) {
        if let Self::Many(bitmap) = self {
            bitmap.optimize();
        }
    }

    /// Whether no id is also in `bitmap`.
    pub(crate) fn is_disjoint(&self, bitmap: &RoaringBitmap) -> bool {
        match self {
            Self::Many(ids) => ids.is_disjoint(bitmap),
            _ => !self.listed().iter().any(|id| bitmap.contains(*id)),
        }
    }

    /// Adds the ids of a set that is not a bitmap to a list.
    pub(crate) fn add_to_list(&self, list: &mut Vec<u32>) {
        list.extend_from_slice(self.listed());
    }

    /// Takes all ids out of `bitmap`.
    pub(crate) fn take_from(&self, bitmap: &mut RoaringBitmap) {
        match self {
            Self::Many(ids) => *bitmap -= &**ids,
            _ => {
                for id in self.listed() {
                    bitmap.remove(*id);
                }
            }
        }
    }

    /// Leaves in `bitmap` only ids that are here as well.
    pub(crate) fn restrict(&self, bitmap: &mut RoaringBitmap) {
        match self {
            Self::Many(ids) => *bitmap &= &**ids,
            _ => {
                let listed = self.listed().iter().copied();
                *bitmap = listed.filter(|id| bitmap.contains(*id)).collect();
            }
        }
    }

    /// A copy as a bitmap.
    pub(crate) fn to_bitmap(&self) -> RoaringBitmap {
        match self {
            Self::Many(ids) => (**ids).clone(),
            _ => self.listed().iter().copied().collect(),
        }
    }
}

impl FromIterator<u32> for Postings {
    fn from_iter<T: IntoIterator<Item = u32>>(ids: T) -> Self {
        let mut postings = Self::default();
        for id in ids {
            postings.insert(id);
        }
        postings
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_takes_two_words() {
        assert_eq!(size_of::<Postings>(), 16);
    }

    proptest! {
        #[test]
        fn is_a_set_in_each_form(
            steps in prop::collection::vec((any::<bool>(), 0..80_u32), 0..300),
            other in prop::collection::btree_set(0..80_u32, 0..80),
        ) {
            let mut postings = Postings::default();
            let mut set = BTreeSet::new();
            for (insert, id) in steps {
                if insert {
                    prop_assert_eq!(postings.insert(id), set.insert(id));
                } else {
                    prop_assert_eq!(postings.remove(id), set.remove(&id));
                }
                if id == 0 {
                    postings.compress();
                }
                prop_assert_eq!(postings.len(), set.len() as u64);
                prop_assert_eq!(postings.is_empty(), set.is_empty());
            }
            let bitmap: RoaringBitmap = other.iter().copied().collect();
            let ids = |bitmap: &RoaringBitmap| bitmap.iter().collect::<BTreeSet<u32>>();
            prop_assert_eq!(&ids(&postings.to_bitmap()), &set);
            prop_assert_eq!(postings.is_disjoint(&bitmap), set.is_disjoint(&other));
            let changed = |change: &dyn Fn(&mut RoaringBitmap)| {
                let mut bitmap = bitmap.clone();
                change(&mut bitmap);
                ids(&bitmap)
            };
            prop_assert_eq!(changed(&|bitmap| postings.take_from(bitmap)), &other - &set);
            prop_assert_eq!(changed(&|bitmap| postings.restrict(bitmap)), &set & &other);
        }
    }
}
