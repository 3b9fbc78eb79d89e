//! A closure that is no handler, and a type that is no service.
use dunlin::App;

struct Chat;

fn main() {
    let app = App::new().route("Chat.count", |text: String| async move { Ok::<_, dunlin::Error>(text) });
    app.service(Chat);
}
