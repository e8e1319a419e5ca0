//! A weir from the tree, with a scenario's manifests.

mod weir;

pub use weir::{SpawnError, Weir, binary};

use crate::scenario::Spawn;

/// The ConfigMap `weir/settings` of a scenario. Where it has none, nothing is limited but what manifests say: all load
/// comes from one machine.
pub fn settings(spawn: &Spawn) -> String {
    let mut text =
        String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: weir, name: settings}\ndata:\n");
    let open = OPEN.iter().map(|(name, value)| (*name, *value));
    let given = spawn.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = if spawn.settings.is_empty() { open.collect() } else { given.collect() };
    for (name, value) in all {
        text.push_str(&format!("  {name}: {}\n", serde_json::Value::from(value)));
    }
    text
}

const OPEN: [(&str, &str); 4] = [
    ("client-sockets", "0"),
    ("client-socket-rate", "0"),
    ("socket-rate", "0"),
    ("keep-alive-requests", "1000000000"),
];
