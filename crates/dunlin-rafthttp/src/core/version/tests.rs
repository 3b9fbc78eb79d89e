//! Versions: the rows of etcd's own tests, and the headers that broke it.

use std::cmp::Ordering;

use http::HeaderValue;

use super::*;

fn version(text: &str) -> ServerVersion {
    text.parse().unwrap()
}

fn local() -> LocalNode {
    LocalNode { versions: Versions::default(), cluster: ClusterId(0x1000) }
}

fn headers(server: &str, min_cluster: &str, cluster: &str) -> HeaderMap {
    let rows = [(SERVER_VERSION, server), (MIN_CLUSTER_VERSION, min_cluster), (CLUSTER_ID, cluster)];
    rows.into_iter().map(|(name, value)| (name, HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn only_major_and_minor_are_compared() {
    let rows = [
        ("2.1.0", "2.1.0", Ordering::Equal),
        ("2.1.0", "2.1.9", Ordering::Equal),
        ("2.1.0", "2.1.0-alpha", Ordering::Equal),
        ("2.0.9", "2.1.0", Ordering::Less),
        ("2.9.0", "3.0.0", Ordering::Less),
        ("2.1.0", "2.0.0", Ordering::Greater),
        ("10.0.0", "9.9.0", Ordering::Greater),
    ];
    for (one, other, order) in rows {
        assert_eq!(version(one).cmp_minor(&version(other)), order, "{one} and {other}");
    }
}

#[test]
fn a_missing_version_is_two_and_a_written_one_is_what_it_says() {
    assert_eq!(server_version(&HeaderMap::new()).unwrap(), version("2.0.0"));
    assert_eq!(min_cluster_version(&HeaderMap::new()).unwrap(), version("2.0.0"));
    assert_eq!(server_version(&headers("", "", "")).unwrap(), version("2.0.0"));
    for text in ["2.1.0", "2.1.0-alpha.0+git"] {
        let headers = headers(text, text, "1000");
        assert_eq!(server_version(&headers).unwrap().to_string(), text);
        assert_eq!(min_cluster_version(&headers).unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_version_is_refused_as_incompatible() {
    let long = format!("3.5.0-{}", "a".repeat(VERSION_LEN_MAX));
    for bad in ["3", "3.5", "v3.5.0", "3.5.0.0", "99999999999999999999.0.0", "-1.0.0", "3.05.0", "x", &long] {
        for headers in [headers(bad, "3.0.0", "1000"), headers("3.5.0", bad, "1000")] {
            let refused = check_compatible(&local(), &headers).expect_err(bad);
            assert!(matches!(refused, Incompatible::Malformed { .. }), "{bad}: {refused}");
            assert_eq!(refused.body(), "incompatible version");
        }
    }
    let mut binary = headers("3.5.0", "3.0.0", "1000");
    binary.insert(SERVER_VERSION, HeaderValue::from_bytes(b"3.5.0\xff").unwrap());
    assert!(check_compatible(&local(), &binary).is_err());
}

#[test]
fn nodes_talk_when_neither_is_too_old_for_the_other() {
    for (server, min_cluster) in
        [("3.5.0", "3.0.0"), ("3.0.0", "3.0.0"), ("4.0.0", "3.5.0"), ("3.5.9", "3.5.7-rc.1")]
    {
        let fits = check_compatible(&local(), &headers(server, min_cluster, "1000"));
        assert!(fits.is_ok(), "{server}, {min_cluster}: {fits:?}");
    }
    let too_old = check_compatible(&local(), &headers("2.3.8", "2.1.0", "1000")).unwrap_err();
    assert!(matches!(too_old, Incompatible::TooOld { .. }), "{too_old}");
    let too_new = check_compatible(&local(), &headers("4.0.0", "3.6.0", "1000")).unwrap_err();
    assert!(matches!(too_new, Incompatible::TooNew { .. }), "{too_new}");
    let unannounced = check_compatible(&local(), &HeaderMap::new()).unwrap_err();
    assert!(matches!(unannounced, Incompatible::TooOld { .. }), "{unannounced}");
    for refused in [too_old, too_new, unannounced] {
        assert_eq!(refused.body(), "incompatible version");
    }
}

#[test]
fn a_cluster_is_ours_when_its_text_is_and_versions_come_first() {
    for other in ["1001", "", "01000", "0x1000"] {
        let refused = check_compatible(&local(), &headers("3.5.0", "3.0.0", other)).expect_err(other);
        assert_eq!(refused.body(), "cluster ID mismatch", "{other}");
    }
    let mut letters = local();
    letters.cluster = ClusterId(0xabc);
    assert!(check_compatible(&letters, &headers("3.5.0", "3.0.0", "abc")).is_ok());
    assert!(check_compatible(&letters, &headers("3.5.0", "3.0.0", "ABC")).is_err());
    let mut nowhere = headers("3.5.0", "3.0.0", "1000");
    nowhere.remove(CLUSTER_ID);
    assert_eq!(check_compatible(&local(), &nowhere).unwrap_err().body(), "cluster ID mismatch");
    let both = check_compatible(&local(), &headers("2.0.0", "2.0.0", "1001")).unwrap_err();
    assert_eq!(both.body(), "incompatible version");
}

#[test]
fn every_minor_of_etcd_from_two_one_on_has_both_streams() {
    let ours = ServerVersion::ANNOUNCED_DEFAULT;
    for kind in StreamKind::ALL {
        for known in ["2.1.0", "2.1.9", "2.1.0-alpha", "2.3.0", "3.0.0", "3.5.1", "3.8.0-alpha.0"] {
            assert!(version(known).has_stream(kind), "{known}");
            assert_eq!(check_stream_support(&ours, &version(known), kind), Ok(()), "{known}");
        }
        for unknown in ["2.0.0", "0.1.0", "2.4.0"] {
            let refused = UnsupportedStream { remote: version(unknown), kind };
            assert_eq!(check_stream_support(&ours, &version(unknown), kind), Err(refused));
        }
        assert_eq!(check_stream_support(&ours, &version("3.99.0"), kind), Ok(()), "newer than ours");
    }
}

#[test]
fn a_newer_peer_finds_what_we_announce_in_its_table() {
    for kind in StreamKind::ALL {
        assert!(ServerVersion::ANNOUNCED_DEFAULT.has_stream(kind));
        assert_eq!(check_stream_support(&version("3.8.0"), &ServerVersion::ANNOUNCED_DEFAULT, kind), Ok(()));
    }
    let peer = LocalNode {
        versions: Versions { server: version("3.8.0"), ..Versions::default() },
        cluster: ClusterId(1),
    };
    let Versions { server, min_cluster } = Versions::default();
    let ours = headers(&server.to_string(), &min_cluster.to_string(), "1");
    assert!(check_compatible(&peer, &ours).is_ok());
}
