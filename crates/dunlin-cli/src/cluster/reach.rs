//! How a cluster's voters are reached: in plain text, or over the mutual TLS that nodes have between them.

use anyhow::{Context, Result, bail};
use dunlin::{TlsConfig, registry_over_tls};
use dunlin_registry::grpc::RemoteRegistry;

use super::args::{At, AtTls};

/// The voters that the command line names.
pub(super) fn registry(at: &At) -> Result<RemoteRegistry> {
    let urls = at.at.iter().map(String::as_str);
    let registry = match tls(at)? {
        None => RemoteRegistry::new(urls).context("nobody can be asked")?,
        Some(tls) => registry_over_tls(urls, &tls).context("nobody can be asked")?,
    };
    Ok(registry.with_timeout(at.timeout))
}

/// The files for TLS, if the URLs want it. A URL and flags that do not fit together are refused: neither may the files be
/// left unused without a word, nor one voter of several be asked in plain text.
fn tls(at: &At) -> Result<Option<TlsConfig>> {
    let AtTls { tls_authority, tls_certificate, tls_key } = &at.tls;
    let secure = at.at.iter().filter(|url| url.starts_with("https://")).count();
    match (secure, tls_authority, tls_certificate, tls_key) {
        (0, None, None, None) => Ok(None),
        (0, ..) => bail!("the files for TLS are of no use with {}; write https://", at.at.join(",")),
        (_, Some(authority), Some(certificate), Some(key)) if secure == at.at.len() => {
            Ok(Some(TlsConfig::new(authority, certificate, key)))
        }
        (_, Some(_), Some(_), Some(_)) => {
            bail!("all nodes of a cluster use TLS or none does; write https:// before each address")
        }
        _ => bail!(
            "https wants --tls-authority, --tls-certificate and --tls-key; `dunlin certs` makes such files for development"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dunlin::{App, ClusterConfig, VoterConfig};
    use dunlin_registry::{Consistency, RegistryExt as _};

    use super::*;
    use crate::certs::{CertsArgs, make};

    fn at(urls: &[&str], files: [Option<&str>; 3]) -> At {
        let [tls_authority, tls_certificate, tls_key] = files.map(|file| file.map(Into::into));
        At {
            at: urls.iter().map(|url| (*url).to_owned()).collect(),
            timeout: Duration::from_secs(10),
            json: false,
            tls: AtTls { tls_authority, tls_certificate, tls_key },
        }
    }

    fn certificates() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let args = CertsArgs { dir: dir.path().to_owned(), san: Vec::new(), days: 1, force: false };
        make(&args).unwrap();
        dir
    }

    #[test]
    fn files_and_urls_that_do_not_fit_together_are_refused_with_the_mend() {
        let all = [Some("ca.pem"), Some("node.pem"), Some("node.key")];
        let refused = |urls: &[&str], files| format!("{:#}", tls(&at(urls, files)).unwrap_err());
        assert!(refused(&["http://a:1"], all).contains("write https://"));
        assert!(refused(&["https://a:1"], [None; 3]).contains("--tls-authority"));
        assert!(refused(&["https://a:1"], [Some("ca.pem"), None, None]).contains("--tls-key"));
        assert!(refused(&["https://a:1", "http://b:1"], all).contains("before each address"));
        assert_eq!(tls(&at(&["http://a:1"], [None; 3])).unwrap(), None);
        assert!(tls(&at(&["https://a:1"], all)).unwrap().is_some());
    }

    #[tokio::test]
    async fn a_node_with_mutual_tls_answers_whoever_has_a_certificate_and_nobody_else() {
        let dir = certificates();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let tls = TlsConfig::new(path("ca.pem"), path("node.pem"), path("node.key"));
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("https://{addr}");
        let cluster = ClusterConfig::new("alone", addr.to_string())
            .voters([(1, url.as_str())])
            .voter(VoterConfig::new(1, path("voter")))
            .tls(tls);
        let node = App::new().cluster(cluster).start().await.unwrap();

        let (authority, certificate, key) = (path("ca.pem"), path("node.pem"), path("node.key"));
        let known = at(&[&url], [Some(&authority), Some(&certificate), Some(&key)]);
        let registry = registry(&known).unwrap();
        registry.put("motd", "hello", 0).await.unwrap();
        assert!(registry.get("motd", Consistency::Linearizable).await.unwrap().is_some());

        let other = certificates();
        let theirs = |name: &str| other.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key) = (theirs("node.pem"), theirs("node.key"));
        let mut stranger = at(&[&url], [Some(&authority), Some(&certificate), Some(&key)]);
        stranger.timeout = Duration::from_millis(500);
        let registry = self::registry(&stranger).unwrap();
        registry.put("motd", "goodbye", 0).await.unwrap_err();
        node.stop().await;
    }
}
