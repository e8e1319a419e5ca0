use super::*;
use crate::scenario::parse;
use proptest::prelude::*;

/// A scenario whose manifests limit everybody to 10 requests a second, with a burst of 5.
fn scenario(oracle: &str, arrivals: &str, clients: u64, more: &str) -> Scenario {
    let text = format!(
        "
name: oracle
oracle: {oracle}
spawn:
  manifests: |
    apiVersion: networking.k8s.io/v1
    kind: Ingress
    metadata: {{name: app, namespace: default, annotations: {{weir.dev/limit-rps: '10', weir.dev/limit-burst: '5'}}}}
    spec:
      rules:
        - host: app.example
          http:
            paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: app, port: {{number: 80}}}}}}}}]
classes: [{{name: a, clients: {clients}, identity: {{kind: source, network: 127.5.0.0/16}}, arrivals: {arrivals}}}]
phases: [{{name: only, duration: 4s}}{more}]
expect: [{{kind: admitted, class: a, within: 1%}}]
"
    );
    parse(&text).unwrap()
}

fn admitted(scenario: &Scenario) -> Vec<u64> {
    let plan = Plan::new(scenario);
    predict(scenario, &plan).unwrap().unwrap().admitted.remove(0).unwrap()
}

#[test]
fn weirs_own_core_says_burst_plus_one_and_then_the_rate() {
    let found = admitted(&scenario("{kind: weir}", "{kind: constant, rate: 100}", 1, ""));
    // 5 + 1 at once, and one each tenth of a second.
    assert_eq!(found[0], 6 + 9);
    assert_eq!(found[1..], [10, 10, 10]);
    // Two clients have twice as much.
    let found = admitted(&scenario("{kind: weir}", "{kind: constant, rate: 100}", 2, ""));
    assert_eq!(found.iter().sum::<u64>(), 2 * (6 + 39));
}

#[test]
fn an_edit_between_phases_is_an_edit_for_the_oracle_and_counters_go_on() {
    let mut scenario =
        scenario("{kind: weir}", "{kind: constant, rate: 100}", 1, ", {name: edited, duration: 2s}");
    let edited = scenario.spawn.as_ref().unwrap().manifests.replace("'10'", "'20'");
    scenario.phases[1].manifests = Some(edited);
    let found = admitted(&scenario);
    assert_eq!(found[1..4], [10, 10, 10]);
    assert!((19..=21).contains(&found[4]) && found[5] == 20, "{found:?}");
}

#[test]
fn manifests_with_mistakes_make_no_oracle() {
    let mut scenario = scenario("{kind: weir}", "{kind: constant, rate: 1}", 1, "");
    let spawn = scenario.spawn.as_mut().unwrap();
    spawn.manifests = spawn.manifests.replace("'10'", "ten");
    let error = predict(&scenario, &Plan::new(&scenario)).unwrap_err().to_string();
    assert!(error.contains("limit-rps"), "{error}");
}

/// One client floods for four seconds; the ConfigMap has these caps and no others.
fn flood(settings: &str, behaviour: &str, rate: u64) -> Vec<u64> {
    let mut scenario = scenario("{kind: weir}", &format!("{{kind: constant, rate: {rate}}}"), 1, "");
    let open = "client-sockets: '0', client-socket-rate: '0', socket-rate: '0', client-handshake-rate: '0'";
    let given = open.split(", ").chain(settings.split(", ")).map(|pair| pair.split_once(": ").unwrap());
    let unquoted = |text: &str| text.trim_matches('\'').to_owned();
    scenario.spawn.as_mut().unwrap().settings =
        given.map(|(name, value)| (name.to_owned(), unquoted(value))).collect();
    scenario.classes[0].behaviour = serde_json::from_str(behaviour).unwrap();
    admitted(&scenario)
}

#[test]
fn sockets_and_handshakes_are_predicted_as_weir_counts_them() {
    let brief = "{\"kind\": \"connection-flood\", \"lasts\": \"10ms\"}";
    let long = "{\"kind\": \"connection-flood\", \"lasts\": \"2s\"}";
    let handshake = "{\"kind\": \"handshake-flood\", \"lasts\": \"10ms\"}";
    assert_eq!(flood("client-sockets: '0'", brief, 100), [100; 4]);
    // Burst of five seconds and one more, and then the rate.
    for (settings, behaviour) in [
        ("client-socket-rate: '4'", brief),
        ("socket-rate: '4'", brief),
        ("client-handshake-rate: '4'", handshake),
        ("handshake-rate: '4'", handshake),
    ] {
        assert_eq!(flood(settings, behaviour, 100), [21 + 3, 4, 4, 4], "{settings}");
    }
    // No handshakes, no budget for them.
    assert_eq!(flood("client-handshake-rate: '4'", brief, 100), [100; 4]);
    // Those of the first second end in the third.
    for settings in ["client-sockets: '7'", "sockets: '7'"] {
        assert_eq!(flood(settings, long, 10), [7, 0, 7, 0], "{settings}");
    }
    // What the target ends before its client does is not admitted, and holds its place until then.
    assert_eq!(flood("client-sockets: '7', keep-alive: '1'", long, 10), [0; 4]);
}

#[test]
fn of_clients_that_never_ask_nothing_is_predicted() {
    let mut scenario = scenario("{kind: weir}", "{kind: constant, rate: 10}", 1, "");
    scenario.classes[0].behaviour =
        serde_json::from_str("{\"kind\": \"slow-head\", \"every\": \"1s\", \"lasts\": \"2s\"}").unwrap();
    assert_eq!(predict(&scenario, &Plan::new(&scenario)).unwrap().unwrap().admitted, [None]);
}

#[test]
fn algorithms_of_others_admit_what_their_definitions_say() {
    let constant = "{kind: constant, rate: 100}";
    let of = |oracle: &str| admitted(&scenario(oracle, constant, 1, ""));
    // A full bucket of 5, and one token each tenth of a second.
    assert_eq!(of("{kind: token-bucket, rate: 10, burst: 5}"), [14, 10, 10, 10]);
    assert_eq!(of("{kind: fixed-window, limit: 7, window: 2s}"), [7, 0, 7, 0]);
    // The one that always fits, the burst, and one each tenth of a second.
    assert_eq!(of("{kind: nginx-leaky-bucket, rate: 10, burst: 5}"), [15, 10, 10, 10]);
    let shared = "{kind: token-bucket, rate: 10, burst: 5, per: everything}";
    assert_eq!(admitted(&scenario(shared, constant, 4, "")).iter().sum::<u64>(), 44);
}

#[test]
fn a_parting_is_the_first_second_whose_sum_is_off() {
    assert_eq!(parting(&[10, 10, 10], &[10, 9, 11], 0.05, 0), None);
    let expected = Parting { second: 1, predicted: 20, seen: 18 };
    assert_eq!(parting(&[10, 10, 10], &[10, 8, 12], 0.05, 0), Some(expected));
    assert_eq!(parting(&[10, 10, 10], &[10, 8, 12], 0.05, 1), None);
    assert_eq!(parting(&[], &[1], 1.0, 0).map(|parting| parting.second), Some(0));
    assert!(expected.to_string().starts_with("part in second 1: 18 admitted"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whatever comes: never more than asked for, never more than burst + 1 + rate, and what a token bucket of the same
    /// numbers says. It is another algorithm, written by other hands.
    #[test]
    fn weirs_core_and_a_token_bucket_agree(rate in 1.0_f64..200.0, seed in 0_u64..1000) {
        let arrivals = format!("{{kind: poisson, rate: {rate:.2}}}");
        let mut of_weir = scenario("{kind: weir}", &arrivals, 1, "");
        let mut of_bucket = scenario("{kind: token-bucket, rate: 10, burst: 6}", &arrivals, 1, "");
        of_weir.seed = seed;
        of_bucket.seed = seed;
        let (weir, bucket) = (admitted(&of_weir), admitted(&of_bucket));
        prop_assert!(weir.iter().sum::<u64>() <= 6 + 40);
        prop_assert_eq!(parting(&bucket, &weir, 0.0, 1), None);
    }
}
