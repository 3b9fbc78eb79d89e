//! The files of the demo's page, in the binary itself. The pond's source is among them, so that what the page shows is
//! what runs.

use std::net::SocketAddr;

use dunlin::App;

/// A file of the page: where it is served, what it is, and what is in it.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> File {
    File { path, content_type, text }
}

const FILES: [File; 11] = [
    file("/", HTML, include_str!("../../page/index.html")),
    file("/app.js", SCRIPT, include_str!("../../page/app.js")),
    file("/gates.js", SCRIPT, include_str!("../../page/gates.js")),
    file("/school.js", SCRIPT, include_str!("../../page/school.js")),
    file("/water.js", SCRIPT, include_str!("../../page/water.js")),
    file("/cluster.js", SCRIPT, include_str!("../../page/cluster.js")),
    file("/source.js", SCRIPT, include_str!("../../page/source.js")),
    // A link to the browser client, so that it is also here when this crate stands alone.
    file("/dunlin.js", SCRIPT, include_str!("../../page/dunlin.js")),
    file("/style.css", STYLE, include_str!("../../page/style.css")),
    file("/icon.svg", IMAGE, include_str!("../../page/icon.svg")),
    file("/pond.rs", PLAIN, include_str!("pond.rs")),
];

/// Serves the page on the port of the clients, and beside it where all gates are.
pub(super) fn serve_pages(app: App, gates: impl Iterator<Item = SocketAddr>) -> App {
    let ports: Vec<u16> = gates.map(|addr| addr.port()).collect();
    let app = app.page("/gates.json", JSON, serde_json::json!({ "ports": ports }).to_string());
    FILES.iter().fold(app, |app, file| app.page(file.path, file.content_type, file.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served_under_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            assert!(FILES.iter().any(|file| file.path == path), "{name} is not served");
        }
    }

    #[test]
    fn the_source_on_the_page_has_the_handlers() {
        let source = FILES.iter().find(|file| file.path == "/pond.rs").unwrap();
        for handler in ["async fn enter", "async fn swim", "async fn hear", "async fn tell", "async fn show"]
        {
            assert!(source.text.contains(handler), "{handler} is missing");
        }
    }
}
