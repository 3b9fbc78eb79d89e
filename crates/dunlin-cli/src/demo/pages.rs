//! The files of the demo's page, in the binary itself. The chat's source is among them, so that what the page shows is
//! what runs.

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
const PLAIN: &str = "text/plain; charset=utf-8";

const fn file(path: &'static str, content_type: &'static str, text: &'static str) -> File {
    File { path, content_type, text }
}

const FILES: [File; 10] = [
    file("/", HTML, include_str!("../../page/index.html")),
    file("/app.js", SCRIPT, include_str!("../../page/app.js")),
    file("/flock.js", SCRIPT, include_str!("../../page/flock.js")),
    file("/room.js", SCRIPT, include_str!("../../page/room.js")),
    file("/source.js", SCRIPT, include_str!("../../page/source.js")),
    file("/view.js", SCRIPT, include_str!("../../page/view.js")),
    // A link to the browser client, so that it is also here when this crate stands alone.
    file("/dunlin.js", SCRIPT, include_str!("../../page/dunlin.js")),
    file("/style.css", STYLE, include_str!("../../page/style.css")),
    file("/icon.svg", IMAGE, include_str!("../../page/icon.svg")),
    file("/chat.rs", PLAIN, include_str!("chat.rs")),
];

/// Serves the page beside the chat, on the same port.
pub(super) fn serve_pages(app: App) -> App {
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
        let source = FILES.iter().find(|file| file.path == "/chat.rs").unwrap();
        for handler in ["async fn join", "async fn say", "async fn rename", "async fn typing"] {
            assert!(source.text.contains(handler), "{handler} is missing");
        }
    }
}
