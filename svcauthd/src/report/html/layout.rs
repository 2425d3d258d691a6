//! Where the nodes of the graph stand: a column for each step, and in each an order with few crossings.

use std::collections::{BTreeMap, BTreeSet};

/// Groups between a person and a role that a graph shows; of a longer way the first and the last one.
const BETWEEN_MAX: usize = 3;
/// Looks at the neighbours on either side; more changes little.
const SWEEPS: usize = 6;

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Person,
    Group,
    Role,
    Account,
    /// A place that the lines to one node go through on their way over a column, so that none runs behind a box.
    Pass,
}

/// A node; the same group in another place of a way is another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    /// For a group: how many steps below the role.
    pub(super) below: usize,
    pub(super) name: String,
}

/// A node with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) key: Key,
    pub(super) column: usize,
    pub(super) row: usize,
}

/// The ways from people to accounts, each step once.
#[derive(Debug, Default)]
pub(super) struct Ways {
    steps: BTreeSet<(Key, Key)>,
}

/// Nodes with places, and the steps between them by their numbers.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<(usize, usize)>,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Ways {
    /// One way: a person, the groups up to the role, the account.
    pub(super) fn add(&mut self, person: &str, path: &[String], role: &str, account: &str) {
        let groups = between(path.split_last().map_or(&[], |(_, groups)| groups));
        let key = |kind, below, name: &str| Key { kind, below, name: name.to_owned() };
        let mut from = key(Kind::Person, 0, person);
        let levels = (1..=groups.len()).rev();
        let mut steps: Vec<Key> =
            groups.iter().zip(levels).map(|(group, below)| key(Kind::Group, below, group)).collect();
        steps.push(key(Kind::Role, 0, role));
        steps.push(key(Kind::Account, 0, account));
        for to in steps {
            self.steps.insert((from, to.clone()));
            from = to;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Gives every node its place.
    pub(super) fn layout(&self) -> Layout {
        let keys = || self.steps.iter().flat_map(|(from, to)| [from, to]);
        let depth = keys().map(|key| key.below).max().unwrap_or(0);
        let steps: BTreeSet<(Key, Key)> =
            self.steps.iter().flat_map(|(from, to)| through(from, to, depth)).collect();
        let keys: BTreeSet<&Key> = steps.iter().flat_map(|(from, to)| [from, to]).collect();
        let number: BTreeMap<&Key, usize> = keys.iter().copied().zip(0..).collect();
        let edges: Vec<(usize, usize)> =
            steps.iter().filter_map(|(from, to)| Some((*number.get(from)?, *number.get(to)?))).collect();
        let mut columns = vec![Vec::new(); 3 + depth];
        for (key, number) in &number {
            if let Some(column) = columns.get_mut(column(key, depth)) {
                column.push(*number);
            }
        }
        let rows = columns.iter().map(Vec::len).max().unwrap_or(0);
        let row = order(&mut columns, &edges, keys.len());
        let place = |(key, row): (&Key, usize)| Node { key: key.clone(), column: column(key, depth), row };
        let nodes = keys.into_iter().zip(row).map(place).collect();
        Layout { nodes, edges, columns: 3 + depth, rows }
    }
}

const fn column(key: &Key, depth: usize) -> usize {
    match key.kind {
        Kind::Person => 0,
        Kind::Group => 1 + depth - key.below,
        Kind::Role => 1 + depth,
        Kind::Account => 2 + depth,
        Kind::Pass => key.below,
    }
}

/// A step as steps from each column to the next.
fn through(from: &Key, to: &Key, depth: usize) -> Vec<(Key, Key)> {
    let (mut steps, mut at) = (Vec::new(), from.clone());
    for between in column(from, depth) + 1..column(to, depth) {
        let name = format!("{:?} {} {}", to.kind, to.below, to.name);
        let pass = Key { kind: Kind::Pass, below: between, name };
        steps.push((at, pass.clone()));
        at = pass;
    }
    steps.push((at, to.clone()));
    steps
}

fn between(groups: &[String]) -> Vec<String> {
    match groups {
        [first, .., last] if groups.len() > BETWEEN_MAX => {
            vec![first.clone(), format!("{} groups", groups.len() - 2), last.clone()]
        }
        groups => groups.to_vec(),
    }
}

/// The row of every node: columns are sorted by the mean place of the neighbours, from both sides in turn.
fn order(columns: &mut [Vec<usize>], edges: &[(usize, usize)], nodes: usize) -> Vec<usize> {
    let mut neighbours = vec![Vec::new(); nodes];
    for (from, to) in edges {
        for (one, other) in [(*from, *to), (*to, *from)] {
            if let Some(list) = neighbours.get_mut(one) {
                list.push(other);
            }
        }
    }
    let mut place = vec![0.0_f64; nodes];
    columns.iter().for_each(|column| spread(column, &mut place));
    for sweep in 0..SWEEPS {
        let turn = |at: usize| if sweep % 2 == 0 { at } else { columns.len() - 1 - at };
        for at in (0..columns.len()).map(turn).collect::<Vec<_>>() {
            let Some(column) = columns.get_mut(at) else { continue };
            let mut keyed: Vec<(f64, usize)> =
                column.iter().map(|node| (mean(neighbours.get(*node), &place), *node)).collect();
            keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            *column = keyed.into_iter().map(|(_, node)| node).collect();
            spread(column, &mut place);
        }
    }
    let mut row = vec![0; nodes];
    for (at, node) in columns.iter().flat_map(|column| column.iter().enumerate()) {
        if let Some(row) = row.get_mut(*node) {
            *row = at;
        }
    }
    row
}

/// Places from 0 to 1, so that columns of different heights can be compared.
#[allow(clippy::cast_precision_loss, reason = "there are a few hundred nodes")]
fn spread(column: &[usize], place: &mut [f64]) {
    for (at, node) in column.iter().enumerate() {
        if let Some(place) = place.get_mut(*node) {
            *place = (at as f64 + 0.5) / column.len() as f64;
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "there are a few hundred nodes")]
fn mean(neighbours: Option<&Vec<usize>>, place: &[f64]) -> f64 {
    let places: Vec<f64> =
        neighbours.into_iter().flatten().filter_map(|node| place.get(*node).copied()).collect();
    places.iter().sum::<f64>() / places.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{Kind, Ways};

    fn way(ways: &mut Ways, person: &str, path: &[&str], account: &str) {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        ways.add(person, &path, path.last().unwrap(), account);
    }

    #[test]
    fn each_step_is_there_once_and_leads_to_a_later_column() {
        let mut ways = Ways::default();
        way(&mut ways, "alice", &["application"], "deployer");
        way(&mut ways, "bob", &["team", "application"], "deployer");
        way(&mut ways, "carol", &["team", "application"], "deployer");
        let layout = ways.layout();
        // Three people, a group, a role, an account, and the place where alice passes by the group.
        assert_eq!((layout.nodes.len(), layout.edges.len(), layout.columns, layout.rows), (7, 6, 4, 3));
        for (from, to) in &layout.edges {
            assert_eq!(layout.nodes[*from].column + 1, layout.nodes[*to].column);
        }
    }

    #[test]
    fn no_two_nodes_stand_in_the_same_place() {
        let mut ways = Ways::default();
        for person in 0..20 {
            for account in 0..7 {
                let path = ["a", "b", "c", "d", "e", "f"];
                let path = &path[..1 + (person + account) % 6];
                way(&mut ways, &format!("p{person}"), path, &format!("a{account}"));
            }
        }
        let layout = ways.layout();
        let mut places: Vec<_> = layout.nodes.iter().map(|node| (node.column, node.row)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), layout.nodes.len());
        assert_eq!(layout.columns, 6, "three groups at most between a person and a role");
        assert!(layout.nodes.iter().any(|node| node.key.kind == Kind::Group && node.key.name == "3 groups"));
    }

    #[test]
    fn what_belongs_together_stands_together() {
        let mut ways = Ways::default();
        // By name, the two halves would cross.
        for (person, account) in [("a", "z"), ("b", "y"), ("c", "x"), ("d", "w")] {
            way(&mut ways, person, &[&format!("r{account}")], account);
        }
        let layout = ways.layout();
        for (from, to) in &layout.edges {
            assert_eq!(layout.nodes[*from].row, layout.nodes[*to].row);
        }
    }
}
