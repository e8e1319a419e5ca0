use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the comments in the module say of the order of cells.
fn check<const N: usize>(slots: &Slots<N>) {
    let mut last = u64::MAX;
    let mut held = 0;
    for (at, cell) in slots.cells.iter().enumerate().filter(|(_, cell)| cell[0] != 0) {
        assert!(held == 0 || cell[0] < last, "keys descend");
        last = cell[0];
        held += 1;
        let home = slots.home(cell[0]);
        assert!(home <= at, "no cell is before its home");
        assert!(
            slots.cells[home..at].iter().all(|cell| cell[0] != 0),
            "nothing free between a cell and its home"
        );
    }
    assert_eq!(held, slots.held);
    assert!(held <= slots.capacity);
    assert_eq!(slots.cells.last().unwrap()[0], 0, "the last place stays free");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64),
    Remove(usize),
    /// Marks a cell as spare.
    Spare(usize),
    Sweep(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Keys from both ends and the middle of the range, many of them close together.
    let key = prop_oneof![
        1..40_u64,
        (0..40_u64).prop_map(|key| u64::MAX - key),
        (0..40_u64).prop_map(|key| (1 << 63) + key),
        1..=u64::MAX,
    ];
    let step = prop_oneof![
        4 => key.prop_map(Step::Insert),
        2 => (0..1000_usize).prop_map(Step::Remove),
        2 => (0..1000_usize).prop_map(Step::Spare),
        1 => (0..20_usize).prop_map(Step::Sweep),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    #[test]
    fn behaves_like_an_ordered_map(capacity in 0..120_usize, steps in steps()) {
        let mut slots = Slots::<2>::new(capacity);
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(key) if model.contains_key(&key) => prop_assert!(slots.find(key).is_ok()),
                Step::Insert(key) => {
                    prop_assert!(slots.find(key).is_err());
                    let before: Vec<u64> = model.keys().copied().collect();
                    match slots.insert([key, 1], |cell| cell[1] == 0) {
                        Insert::Add => prop_assert!(model.insert(key, 1).is_none()),
                        Insert::Replace => {
                            let gone: Vec<u64> =
                                before.into_iter().filter(|&key| slots.find(key).is_err()).collect();
                            prop_assert_eq!(gone.len(), 1);
                            prop_assert_eq!(model.remove(&gone[0]), Some(0), "only a spare one goes");
                            model.insert(key, 1);
                        }
                        // Full, or the run has reached the end of the block.
                        Insert::Reject => prop_assert!(slots.held == capacity || slots.held >= TAIL),
                    }
                }
                Step::Remove(nth) => {
                    if let Some((&key, _)) = model.iter().nth(nth % 120) {
                        let at = slots.find(key).unwrap();
                        slots.remove(at);
                        model.remove(&key);
                    }
                }
                Step::Spare(nth) => {
                    if let Some((&key, value)) = model.iter_mut().nth(nth % 120) {
                        let at = slots.find(key).unwrap();
                        slots.cell_mut(at)[1] = 0;
                        *value = 0;
                    }
                }
                Step::Sweep(steps) => {
                    let judge = |cell: &mut Cell<2>| if cell[1] == 0 { Sweep::Remove } else { Sweep::Keep };
                    let removed = slots.sweep(steps, judge);
                    prop_assert!(removed <= steps);
                    model.retain(|&key, &mut value| value != 0 || slots.find(key).is_ok());
                }
            }
            check(&slots);
            prop_assert_eq!(slots.held, model.len());
            for (&key, &value) in &model {
                prop_assert_eq!(slots.find(key).map(|at| slots.cell(at)[1]), Ok(value));
                let home = slots.home(key);
                let is_near = slots.find(key).is_ok_and(|at| at < home + NEAR);
                prop_assert_eq!(slots.find_near(key).copied(), is_near.then_some([key, value]));
            }
        }
    }
}

#[test]
fn a_round_of_the_hand_finds_every_spare_cell() {
    let mut slots = Slots::<2>::new(1000);
    for key in 1..=1000_u64 {
        assert_eq!(slots.insert([key << 54 | 1, key % 2], |_| false), Insert::Add);
    }
    let judge = |cell: &mut Cell<2>| if cell[1] == 0 { Sweep::Remove } else { Sweep::Keep };
    assert_eq!(slots.sweep(slots.cells.len() + 501, judge), 500);
    check(&slots);
    assert_eq!(slots.held(), 500);
}

#[test]
fn a_map_without_capacity_rejects() {
    assert_eq!(Slots::<2>::new(0).insert([1, 1], |_| false), Insert::Reject);
}

#[test]
fn many_keys_with_one_home_are_rejected_at_the_end_and_never_lost() {
    let mut slots = Slots::<2>::new(1000);
    let added = (0..1000).take_while(|key| slots.insert([key + 1, 1], |_| false) == Insert::Add).count();
    assert_eq!(added, TAIL);
    check(&slots);
}
