//! Garbage between two good documents.

use super::*;
use fastrand::Rng;

/// Changes, inserts, removes and repeats characters.
fn mutate(text: &str, random: &mut Rng) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..=random.usize(..6) {
        let at = random.usize(..letters.len());
        let piece = PIECES[random.usize(..PIECES.len())];
        match random.usize(..5) {
            0 => letters.truncate(at),
            1 => drop(letters.splice(at..at, piece.chars())),
            2 => drop(letters.splice(at..(at + random.usize(..8)).min(letters.len()), piece.chars())),
            3 => {
                let copy: Vec<_> = letters.iter().copied().skip(at).take(random.usize(..40)).collect();
                letters.splice(at..at, copy);
            }
            _ => drop(letters.drain(at..(at + random.usize(..20)).min(letters.len()))),
        }
        if letters.is_empty() {
            letters.push('x');
        }
    }
    letters.into_iter().collect()
}

#[test]
fn garbage_never_panics_and_its_neighbours_survive() {
    let seed = std::env::var("WEIR_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Rng::with_seed(seed);
    for round in 0..ROUNDS {
        let garbage = mutate(SUBJECT, &mut random);
        let text = format!(
            "{}---\n{garbage}\n{}",
            ingress("first", "first.example"),
            ingress("last", "last.example")
        );
        let mut file = file::File::new(Path::new("a.yaml").into());
        file.update(Ok(text.clone()));
        let objects: crate::Objects = file.objects().map(|placed| placed.object.clone()).collect();
        for name in ["first", "last"] {
            let found = objects.ingresses.get("default", name).map(host);
            assert_eq!(found, Some(format!("{name} {name}.example")), "seed {seed}, round {round}:\n{text}");
        }
        // What is read is translated and built, whatever it is.
        let (declaration, _) = translate(&objects, &Options::manifests());
        let snapshot = weir_core::Snapshot::build(declaration, None, &weir_limits::Seed::from_u128(1));
        assert!(snapshot.find("first.example", "/").is_none(), "it has no backend");
    }
}

const ROUNDS: usize = 3_000;
const PIECES: [&str; 24] = [
    "\n",
    " ",
    "\t",
    ":",
    ": ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "|\n",
    ">",
    "&a ",
    "*a",
    "!!binary ",
    "%",
    "#",
    "\u{0}",
    "\u{feff}",
    "é",
    "\n...\n",
    "\n--- ",
];
const SUBJECT: &str = "\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: middle
  annotations:
    weir.dev/limit-rps: \"5\"
    nginx.ingress.kubernetes.io/limit-rpm: '300'
spec:
  ingressClassName: weir
  defaultBackend: {service: {name: web, port: {name: http}}}
  rules:
  - host: middle.example
    http:
      paths:
      - path: /api
        pathType: Prefix
        backend: {service: {name: web, port: {number: 80}}}
      - {path: /x, pathType: Exact, backend: {service: {name: web, port: {number: 81}}}}
";
