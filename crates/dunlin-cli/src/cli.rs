//! The command line: what can be asked of `dunlin`, and its help.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::{Args, Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::certs::CertsArgs;
use crate::client::ClientArgs;
use crate::cluster::{DrainArgs, KvArgs, LeaderArgs, MembersArgs, NodesArgs};
use crate::new::NewArgs;
use crate::serve::{CheckConfigArgs, ServeArgs};

/// Where the demo is served when nothing else is asked for.
pub(crate) const DEMO_ADDR: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3250);

/// The most bots; beyond that it is a load test, and there is a bench for it.
const BOTS_MAX: i64 = 200;

/// dunlin, a realtime server framework
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "Try it:
  dunlin demo
  dunlin new pond-chat

Exit codes: 0 done, 1 failed, 2 not understood, 3 no such key, 4 the server
answered with an error, 5 no connection, or no answer in time.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `dunlin` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a node, with the services of this program
    Serve(ServeArgs),
    /// Say whether a node's settings fit
    CheckConfig(CheckConfigArgs),
    /// Put load on a server of the nano protocol and measure its answers
    Bench(BenchArgs),
    /// Make an authority and certificates, for development
    Certs(CertsArgs),
    /// Talk to any server of the nano protocol
    Client(ClientArgs),
    /// Serve a cluster of three nodes and a page to break it on
    ///
    /// One process: three nodes, each a gate, a backend and a voter; a pond that they share; bots that swim there over
    /// real sockets; and a page where you may kill the leader, cut a link, drain a node, and count what gets lost.
    Demo(DemoArgs),
    /// Let a node of a cluster finish what it has, and stop
    Drain(DrainArgs),
    /// Read, set, remove and watch keys of the store that the voters keep
    Kv(KvArgs),
    /// Say who is to lead the voters
    Leader(LeaderArgs),
    /// Show the voters of a cluster, add one or remove one
    Members(MembersArgs),
    /// Make a project of your own: a chat server that builds, with tests
    New(NewArgs),
    /// Show the nodes of a cluster
    Nodes(NodesArgs),
}

/// How the demo is served.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  dunlin demo                         on 127.0.0.1:3250 to 3252, or the next free ports
  dunlin demo --addr 127.0.0.1:0      on any free ports
  dunlin demo --addr 0.0.0.0:3250     for other machines too: the demo has no login
  dunlin demo --bots 0                a quiet pond
  RUST_LOG=dunlin=debug dunlin demo   with the server's log on stderr")]
pub(crate) struct DemoArgs {
    /// Address and port of the first node, after which come the others [default: 127.0.0.1:3250, or the next free ones]
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_addr)]
    pub(crate) addr: Option<SocketAddr>,

    /// How many bots swim in the pond
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(0..=BOTS_MAX))]
    pub(crate) bots: u16,
}

/// Reads an address with a port; a name such as `localhost` is looked up.
fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    let example = "write a host and a port, such as 127.0.0.1:3250";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; {example}"))?;
    found.next().ok_or_else(|| format!("the name has no address; {example}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn demo(args: &[&str]) -> Result<DemoArgs, clap::Error> {
        let Command::Demo(args) = Cli::try_parse_from(["dunlin", "demo"].iter().chain(args))?.command else {
            panic!("the demo was asked for")
        };
        Ok(args)
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn addresses_need_a_port_and_may_be_names() {
        assert_eq!(demo(&["--addr", "127.0.0.1:0"]).unwrap().addr, Some("127.0.0.1:0".parse().unwrap()));
        assert_eq!(demo(&["--addr", "[::1]:80"]).unwrap().addr, Some("[::1]:80".parse().unwrap()));
        assert!(demo(&["--addr", "localhost:3250"]).unwrap().addr.unwrap().ip().is_loopback());
        let error = demo(&["--addr", "127.0.0.1"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert!(error.to_string().contains("such as 127.0.0.1:3250"), "{error}");
    }

    #[test]
    fn bots_are_thirty_unless_told_and_their_number_is_bounded() {
        assert_eq!(demo(&[]).unwrap().bots, 30);
        assert_eq!(demo(&["--bots", "0"]).unwrap().bots, 0);
        assert!(demo(&["--bots", "201"]).is_err());
    }

    #[test]
    fn whom_to_ask_is_a_url_and_how_long_it_may_take_a_time() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(
            parse("dunlin members --at http://10.0.0.1:7001,http://10.0.0.2:7001 --timeout 500ms").is_ok()
        );
        let error = parse("dunlin nodes --at 10.0.0.1:7001").unwrap_err().to_string();
        assert!(error.contains("such as http://10.0.0.1:7001"), "{error}");
        let error = parse("dunlin nodes --timeout soon").unwrap_err().to_string();
        assert!(error.contains("such as 500ms or 5s"), "{error}");
    }

    /// The long help of a command and of those below it, as it is in a terminal of a hundred columns.
    fn helps(command: &mut clap::Command, all: &mut Vec<(String, String)>) {
        let name = command.get_bin_name().unwrap_or("dunlin").replace(' ', "-");
        all.push((name, command.render_long_help().to_string()));
        for subcommand in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            helps(subcommand, all);
        }
    }

    #[test]
    fn every_help_reads_as_it_was_looked_at() {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut all = Vec::new();
        helps(&mut command, &mut all);
        for (name, help) in all {
            insta::assert_snapshot!(format!("help-{name}"), help);
        }
    }

    #[test]
    fn every_command_shows_an_example_of_itself() {
        let mut command = Cli::command();
        command.build();
        for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("\n  dunlin {}", command.get_name());
            assert!(examples.contains(&example), "{}: {examples}", command.get_name());
        }
    }

    /// The words of a line as a shell has them, up to a remark; single quotes keep blanks together.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (n, piece) in line.split('\'').enumerate() {
            match n % 2 {
                0 => words.extend(piece.split_whitespace().map(str::to_owned)),
                _ => words.push(piece.to_owned()),
            }
        }
        let len = words.iter().position(|word| word == "#").unwrap_or(words.len());
        words.truncate(len);
        words
    }

    #[test]
    fn the_page_of_the_commands_has_an_example_of_each_that_is_understood() {
        let page = include_str!("../../../docs/cli.md");
        let examples: Vec<_> = page.lines().filter(|line| line.starts_with("dunlin ")).map(words).collect();
        for example in &examples {
            Cli::try_parse_from(example).unwrap_or_else(|error| panic!("{example:?}: {error}"));
        }
        let command = Cli::command();
        let names = command.get_subcommands().map(clap::Command::get_name);
        for name in names.filter(|name| *name != "help") {
            assert!(examples.iter().any(|words| words[1] == name), "no example of {name}");
            assert!(page.contains(&format!("](#{name})")), "{name} is not in the table");
        }
    }
}
