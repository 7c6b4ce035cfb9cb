use super::*;
use crate::store::{memory::MemoryRows, overlay::Overlay};

/// A store on another machine.
#[derive(Default)]
struct Server {
    rows: MemoryRows,
    questions: usize,
}

impl Server {
    /// None where everything was so, and the changes were taken.
    fn answer(&mut self, question: &Question) -> Option<News> {
        self.questions += 1;
        let rows = &self.rows;
        let mut news = News::default();
        for (at, ((table, key), row)) in question.rows.iter().enumerate() {
            let found = rows.get(*table, key).unwrap();
            if found != *row {
                news.rows.push((at, found));
            }
        }
        for (at, (range, keys)) in question.same.iter().enumerate() {
            let found = self.range(range);
            if !found.iter().map(|(key, _)| key).eq(keys) {
                news.same.push((at, found));
            }
        }
        news.ranges = question
            .ranges
            .iter()
            .map(|range| self.range(range))
            .collect();
        let counts = question.counts.iter();
        news.counts = counts.map(|table| rows.count(*table).unwrap()).collect();
        if news != News::default() {
            return Some(news);
        }
        for (table, rows) in &question.changes {
            for (key, written) in rows {
                match written {
                    Some(written) => self.rows.put(*table, key, &written.row).unwrap(),
                    None => self.rows.remove(*table, key).unwrap(),
                }
            }
        }
        None
    }

    fn range(&self, range: &Range) -> Found {
        let found = match range {
            Range::After { table, after, most } => self.rows.after(*table, after, *most),
            Range::StartingWith {
                table,
                prefix,
                most,
            } => self.rows.starting_with(*table, prefix, *most),
        };
        let found = found.unwrap().into_iter();
        found.map(|(key, row)| (key, Some(row))).collect()
    }
}

/// Rows that were there once.
#[derive(Default)]
struct Old {
    rows: BTreeMap<Place, MaybeRow>,
    counts: BTreeMap<Table, u64>,
}

impl Hints for Old {
    fn row(&self, place: &Place) -> Option<MaybeRow> {
        self.rows.get(place).cloned()
    }

    fn count(&self, table: Table) -> Option<u64> {
        self.counts.get(&table).copied()
    }
}

/// Runs an operation until the store takes it. Returns its result, and how often the store was asked. `between` is what others do
/// before each answer.
fn commit<T>(
    server: &mut Server,
    old: &Old,
    operation: impl Fn(&mut dyn Rows) -> Result<T, StoreError>,
    mut between: impl FnMut(&mut MemoryRows, usize),
) -> (T, usize) {
    let before = server.questions;
    let mut known = Known::default();
    loop {
        let guess = Guess::new(&known, old);
        let mut overlay = Overlay::new(&guess);
        let result = operation(&mut overlay).unwrap();
        let changes = overlay.into_changes();
        let run = guess.into_run();
        if changes.is_empty() && known.is_proven(&run) {
            return (result, server.questions - before);
        }
        let question = known.question(&run, changes);
        between(&mut server.rows, server.questions - before);
        match server.answer(&question) {
            None => return (result, server.questions - before),
            Some(news) => known.learn(question, news),
        }
        assert!(server.questions - before < 20, "it does not end");
    }
}

const NOBODY: fn(&mut MemoryRows, usize) = |_, _| {};

/// Moves one from one account to another.
fn transfer(rows: &mut dyn Rows, from: &[u8], to: &[u8]) -> Result<bool, StoreError> {
    let of = |row: MaybeRow| row.and_then(|row| row.first().copied()).unwrap_or(0);
    let (source, target) = (
        of(rows.get(Table::Grants, from)?),
        of(rows.get(Table::Codes, to)?),
    );
    if source == 0 {
        return Ok(false);
    }
    rows.put(Table::Grants, from, &[source - 1])?;
    rows.put(Table::Codes, to, &[target + 1])?;
    Ok(true)
}

fn at(rows: &MemoryRows, table: Table, key: &[u8]) -> Option<u8> {
    rows.get(table, key).unwrap().map(|row| row[0])
}

fn with(rows: &[(Table, &[u8], u8)]) -> Server {
    let mut server = Server::default();
    for (table, key, row) in rows {
        server.rows.put(*table, key, &[*row]).unwrap();
    }
    server
}

#[test]
fn what_is_known_already_is_proven_and_changed_at_once() {
    let mut server = with(&[(Table::Grants, b"a", 2)]);
    let place = |table, key: &[u8]| (table, key.to_vec());
    let mut old = Old::default();
    old.rows.insert(place(Table::Grants, b"a"), Some(vec![2]));
    old.rows.insert(place(Table::Codes, b"b"), None);
    let moved = commit(&mut server, &old, |rows| transfer(rows, b"a", b"b"), NOBODY);
    assert_eq!(moved, (true, 1));
    // What was remembered is not the latest any longer.
    let moved = commit(&mut server, &old, |rows| transfer(rows, b"a", b"b"), NOBODY);
    assert_eq!(moved, (true, 2));
    assert_eq!(at(&server.rows, Table::Grants, b"a"), Some(0));
    assert_eq!(at(&server.rows, Table::Codes, b"b"), Some(2));
    // Without a change, the answer is about the latest rows too.
    let moved = commit(&mut server, &old, |rows| transfer(rows, b"a", b"b"), NOBODY);
    assert_eq!(moved, (false, 1));
}

#[test]
fn a_change_of_another_process_between_run_and_answer_is_noticed() {
    let mut server = with(&[(Table::Grants, b"a", 1)]);
    let take = |rows: &mut MemoryRows, asked: usize| {
        if asked == 1 {
            rows.put(Table::Grants, b"a", &[0]).unwrap();
        }
    };
    let moved = commit(
        &mut server,
        &Old::default(),
        |rows| transfer(rows, b"a", b"b"),
        take,
    );
    assert!(!moved.0);
    assert_eq!(at(&server.rows, Table::Codes, b"b"), None);
}

#[test]
fn one_more_row_with_the_prefix_is_noticed_and_another_prefix_is_not() {
    let limited = |rows: &mut dyn Rows| {
        let own = rows.starting_with(Table::Subjects, b"ana", 10)?.len();
        if own < 2 {
            rows.put(Table::Subjects, b"ana new", b"x")?;
        }
        Ok(own)
    };
    for (foreign, expected) in [(&b"bob 1"[..], (1, 2)), (b"ana 2", (2, 1))] {
        let mut server = with(&[(Table::Subjects, b"ana 1", 1)]);
        let add = |rows: &mut MemoryRows, asked: usize| {
            if asked == 0 {
                rows.put(Table::Subjects, foreign, &[1]).unwrap();
            }
        };
        assert_eq!(commit(&mut server, &Old::default(), limited, add), expected);
    }
    // Where the guess that there is none is right, asking once is enough.
    let mut server = Server::default();
    assert_eq!(
        commit(&mut server, &Old::default(), limited, NOBODY),
        (0, 1)
    );
}

#[test]
fn counts_and_other_ranges_are_asked_for_before_anything_is_changed() {
    let first = |rows: &mut dyn Rows| {
        let count = rows.count(Table::Clients)?;
        let first = rows.after(Table::Clients, b"", 1)?;
        for (key, _) in &first {
            rows.remove(Table::Clients, key)?;
        }
        Ok((count, first.len()))
    };
    let mut server = with(&[(Table::Clients, b"a", 1), (Table::Clients, b"b", 1)]);
    assert_eq!(
        commit(&mut server, &Old::default(), first, NOBODY),
        ((2, 1), 2)
    );
    assert_eq!(server.rows.count(Table::Clients), Ok(1));
    // A count that is remembered may be old, and is not asked for.
    let mut old = Old::default();
    old.counts.insert(Table::Clients, 7);
    let count = |rows: &mut dyn Rows| {
        rows.put(Table::Codes, b"c", b"x")?;
        rows.count(Table::Clients)
    };
    assert_eq!(commit(&mut server, &old, count, NOBODY), (7, 1));
    // A row of a range that was changed meanwhile is not removed as it was.
    let mut server = with(&[(Table::Clients, b"a", 1)]);
    let mut seen = Vec::new();
    let change = |rows: &mut MemoryRows, asked: usize| {
        if asked == 1 {
            rows.put(Table::Clients, b"a", &[9]).unwrap();
        }
    };
    let take = |rows: &mut dyn Rows| {
        let first = rows.after(Table::Clients, b"", 1)?;
        rows.remove(Table::Clients, b"a")?;
        Ok(first)
    };
    seen.extend(commit(&mut server, &Old::default(), take, change).0);
    assert_eq!(seen, [(b"a".to_vec(), vec![9])]);
}

/// A sequence of numbers that looks random and is the same each time.
fn numbers() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(12345_u32), |last| {
        Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    })
    .map(|number| (number >> 8) as usize)
}

#[test]
fn whatever_others_do_meanwhile_the_result_is_that_of_one_after_the_other() {
    const KEYS: [&[u8]; 4] = [b"a", b"ab", b"b", b"c"];
    let mut numbers = numbers();
    for _ in 0..300 {
        let mut next = |most: usize| numbers.next().unwrap() % most;
        let (from, to, foreign) = (KEYS[next(4)], KEYS[next(4)], KEYS[next(4)]);
        let (when, value) = (next(3), u8::try_from(next(3)).unwrap());
        let mut server = with(&[(Table::Grants, b"a", 1), (Table::Codes, b"ab", 1)]);
        let mut last = None;
        let meddle = |rows: &mut MemoryRows, asked: usize| {
            if asked == when {
                rows.put(Table::Grants, foreign, &[value]).unwrap();
            }
            last = Some(rows.clone());
        };
        let operation = |rows: &mut dyn Rows| {
            let own = rows.starting_with(Table::Grants, b"a", 5)?.len();
            let moved = transfer(rows, from, to)?;
            Ok((own, moved))
        };
        let (result, _) = commit(&mut server, &Old::default(), operation, meddle);
        // The same over the rows as they were when the store answered last.
        let mut expected = last.unwrap();
        assert_eq!(operation(&mut expected), Ok(result));
        for key in KEYS {
            for table in [Table::Grants, Table::Codes] {
                assert_eq!(at(&server.rows, table, key), at(&expected, table, key));
            }
        }
    }
}
