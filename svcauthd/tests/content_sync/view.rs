//! What a monitor keeps of a directory: whole answers and changes put into effect, as `Sink` promises them.

use std::collections::{BTreeMap, BTreeSet};

use svcauthd::directory::dn::normalise;
use svcauthd::directory::{Entry, Extent, Kind, Sink};

type Table = BTreeMap<String, Entry>;

/// The entries of all kinds, and the answer that comes in.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) tables: BTreeMap<Kind, Table>,
    pub(crate) staged: Staged,
}

/// One answer.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub(crate) extent: Extent,
    pub(crate) taken: BTreeMap<Kind, Table>,
    pub(crate) gone: BTreeMap<Kind, BTreeSet<String>>,
    pub(crate) present: BTreeMap<Kind, BTreeSet<String>>,
    pub(crate) relisted: Vec<String>,
}

impl View {
    /// Puts the answer into effect.
    pub(crate) fn apply(&mut self) {
        let mut staged = std::mem::take(&mut self.staged);
        if staged.extent == Extent::Whole {
            self.tables = staged.taken;
            return;
        }
        let mut stale: Vec<String> = std::mem::take(&mut staged.relisted);
        for kind in Kind::ALL {
            let table = self.tables.entry(kind).or_default();
            let taken = staged.taken.entry(kind).or_default();
            let mut gone = staged.gone.remove(&kind).unwrap_or_default();
            if let Some(present) = staged.present.get(&kind) {
                gone.extend(
                    table.keys().filter(|id| !present.contains(*id) && !taken.contains_key(*id)).cloned(),
                );
            }
            stale.extend(gone.iter().filter_map(|id| table.remove(id)).map(|entry| entry.dn));
            let moved = |(id, new): (&String, &Entry)| {
                table.get(id).map(|old| old.dn.clone()).filter(|old| *old != new.dn)
            };
            stale.extend(taken.iter().filter_map(moved));
        }
        let stale: BTreeSet<_> = stale.iter().map(|dn| normalise(dn)).collect();
        let is_stale = |value: &Vec<u8>| stale.contains(&std::str::from_utf8(value).ok().and_then(normalise));
        for group in self.tables.entry(Kind::Groups).or_default().values_mut() {
            let members = group.attributes.entry("member".into()).or_default();
            members.retain(|member| !is_stale(member));
        }
        for (kind, taken) in staged.taken {
            self.tables.entry(kind).or_default().extend(taken);
        }
    }

    /// All entries with their values, a line each. A member that is nobody counts for nothing.
    pub(crate) fn text(&self) -> String {
        let all = || self.tables.values().flat_map(BTreeMap::values);
        let known: BTreeSet<_> = all().map(|entry| normalise(&entry.dn)).collect();
        let mut lines = Vec::new();
        for (kind, table) in &self.tables {
            for (id, entry) in table {
                lines.push(format!("{kind:?} {id} {}", entry.dn));
                for (name, value) in entry.attributes.iter().flat_map(|(n, v)| v.iter().map(move |v| (n, v)))
                {
                    let value = String::from_utf8_lossy(value);
                    if name != "member" || known.contains(&normalise(&value)) {
                        lines.push(format!("  {name}: {value}"));
                    }
                }
            }
        }
        lines.join("\n")
    }

    /// How many entries the answer that comes in has.
    pub(crate) fn taken(&self) -> usize {
        self.staged.taken.values().map(BTreeMap::len).sum()
    }
}

fn id(entry: &Entry) -> String {
    entry.id.clone().unwrap_or_else(|| format!("no id: {}", entry.dn))
}

impl Sink for View {
    fn begin(&mut self, extent: Extent) {
        self.staged = Staged { extent, ..Staged::default() };
    }
    fn domain(&mut self, _: &Entry) {}
    fn take(&mut self, kind: Kind, entry: &Entry) {
        if let Some(gone) = self.staged.gone.get_mut(&kind) {
            gone.remove(&id(entry));
        }
        self.staged.taken.entry(kind).or_default().insert(id(entry), entry.clone());
    }
    fn gone(&mut self, kind: Kind, ids: Vec<String>) {
        for id in ids {
            self.staged.taken.entry(kind).or_default().remove(&id);
            self.staged.gone.entry(kind).or_default().insert(id);
        }
    }
    fn present(&mut self, kind: Kind, ids: Vec<String>) {
        self.staged.present.entry(kind).or_default().extend(ids);
    }
    fn relisted(&mut self, dns: Vec<String>) {
        self.staged.relisted.extend(dns);
    }
}
