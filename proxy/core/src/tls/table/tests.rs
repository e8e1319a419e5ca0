use super::*;

fn table(unknown: UnknownName) -> TlsTable {
    let host = |versions| Arc::new(HostTls { versions, ..HostTls::default() });
    let hosts = [
        (HostPattern::Name("shop.example".into()), host(TlsVersions::V13)),
        (HostPattern::Wildcard("shop.example".into()), host(TlsVersions::V12)),
    ];
    TlsTable::new(hosts, Arc::default(), unknown)
}

#[test]
fn the_name_comes_before_the_wildcard_and_that_before_the_default() {
    let table = table(UnknownName::Serve);
    let find = |sni| {
        let found = table.lookup(sni);
        (found.known, found.tls.versions)
    };
    assert_eq!(find(Some("shop.example")), (Known::Name, TlsVersions::V13));
    assert_eq!(find(Some("Shop.EXAMPLE.")), (Known::Name, TlsVersions::V13));
    assert_eq!(find(Some("www.shop.example")), (Known::Wildcard, TlsVersions::V12));
    let unknown = (Known::Not, TlsVersions::V12AndV13);
    for name in ["a.www.shop.example", ".shop.example", "example", "", ".", "*"] {
        assert_eq!(find(Some(name)), unknown, "{name:?}");
    }
    assert_eq!(find(None), unknown);
}

#[test]
fn unknown_names_are_refused_only_where_that_is_asked() {
    for (unknown, refused) in [(UnknownName::Serve, false), (UnknownName::Refuse, true)] {
        let table = table(unknown);
        assert!(!table.lookup(Some("shop.example")).is_refused());
        assert!(!table.lookup(Some("www.shop.example")).is_refused());
        assert_eq!(table.lookup(Some("other.example")).is_refused(), refused);
        assert_eq!(table.lookup(None).is_refused(), refused);
    }
}
