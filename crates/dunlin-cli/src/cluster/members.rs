//! `dunlin members`, `leader`, `nodes` and `drain`: who votes, who leads, who is there, who is to go.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use dunlin::{NodeRecord, NodeRole};
use dunlin_registry::grpc::RemoteRegistry;
use dunlin_registry::grpc::messages::StatusResponse;
use dunlin_registry::nodes::{Nodes, ask_to_stop};
use dunlin_registry::store::Member;
use serde_json::json;

use super::args::{DrainArgs, LeaderArgs, LeaderCommand, MembersArgs, MembersCommand, NodesArgs};
use super::say;

pub(super) async fn members(
    registry: &RemoteRegistry,
    args: &MembersArgs,
    out: &mut impl Write,
) -> Result<ExitCode> {
    match &args.command {
        Some(MembersCommand::Add { id, url }) => {
            let member = Member { id: *id, urls: vec![url.clone()], ..Member::default() };
            registry.add_member(&member).await.context("the voter is not added")?;
        }
        Some(MembersCommand::Remove { id }) => {
            registry.remove_member(*id).await.context("the voter is not removed")?;
        }
        None => {
            let status = registry.status().await.context("no voter answers")?;
            list(&status, args.at.json, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(status: &StatusResponse, is_json: bool, out: &mut impl Write) -> Result<()> {
    if !is_json {
        let StatusResponse { term, applied, revision, .. } = status;
        say(
            out,
            format_args!(
                "term {term}, {applied} entries applied, revision {revision}, as voter {} has it",
                status.id
            ),
        )?;
        say(out, format_args!("{:<6} {:<8} {:<16} URLS", "ID", "ROLE", "NAME"))?;
    }
    for member in &status.members {
        let role = match (member.id == status.leader, member.is_learner) {
            (true, _) => "leader",
            (false, true) => "learner",
            (false, false) => "voter",
        };
        let Member { id, name, urls, .. } = member;
        match is_json {
            true => {
                say(out, format_args!("{}", json!({ "id": id, "name": name, "role": role, "urls": urls })))?;
            }
            false => say(out, format_args!("{id:<6} {role:<8} {name:<16} {}", urls.join(" ")))?,
        }
    }
    Ok(())
}

pub(super) async fn transfer(registry: &RemoteRegistry, args: &LeaderArgs) -> Result<ExitCode> {
    let LeaderCommand::Transfer { to } = args.command;
    registry.transfer_leadership(to).await.context("the leader cannot be asked")?;
    let waiting = async {
        while registry.status().await?.leader != to {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(args.at.timeout, waiting).await {
        Ok(led) => led.context("it is not known who leads")?,
        Err(_) => anyhow::bail!("voter {to} does not lead; is it one, and does it have all of the log?"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn nodes(
    registry: &RemoteRegistry,
    args: &NodesArgs,
    out: &mut impl Write,
) -> Result<ExitCode> {
    let nodes = Nodes::watch(registry.clone()).await.context("the nodes are not read")?;
    if !args.at.json {
        say(out, format_args!("{:<16} {:<9} {:<20} {:<24} SERVICES", "NAME", "STATE", "ROLES", "URL"))?;
    }
    for node in nodes.table().iter() {
        tell(node, args.at.json, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn drain(registry: &RemoteRegistry, args: &DrainArgs) -> Result<ExitCode> {
    let nodes = Nodes::watch(registry.clone()).await.context("the nodes are not read")?;
    let table = nodes.table();
    let named: Vec<&NodeRecord> = table.iter().filter(|node| node.name == args.name).collect();
    anyhow::ensure!(
        !named.is_empty(),
        "there is no node `{}`; `dunlin nodes` shows those that are",
        args.name
    );
    for node in named {
        ask_to_stop(registry, node.id).await.context("the node is not asked")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(node: &NodeRecord, is_json: bool, out: &mut impl Write) -> Result<()> {
    let state = node.state().name();
    let roles: Vec<&str> = node.roles().map(NodeRole::name).collect();
    let NodeRecord { id, name, urls, services, labels, .. } = node;
    if is_json {
        let node = json!({
            "id": format!("{id:016x}"), "name": name, "state": state, "roles": roles, "urls": urls,
            "services": services, "labels": labels,
        });
        return say(out, format_args!("{node}"));
    }
    let url = urls.first().map_or("", String::as_str);
    say(out, format_args!("{name:<16} {state:<9} {:<20} {url:<24} {}", roles.join(","), services.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(work: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> String {
        let mut out = Vec::new();
        work(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_leader_is_told_from_voters_and_learners() {
        let member = |id, is_learner| Member {
            id,
            is_learner,
            urls: vec![format!("http://{id}")],
            ..Member::default()
        };
        let members = vec![member(1, false), member(2, false), member(3, true)];
        let status = StatusResponse { leader: 2, members, ..StatusResponse::default() };
        let table = shown(|out| list(&status, false, out));
        let roles: Vec<&str> =
            table.lines().skip(2).filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(roles, ["voter", "leader", "learner"]);
        let json = shown(|out| list(&status, true, out));
        assert_eq!(json.lines().next().unwrap(), r#"{"id":1,"name":"","role":"voter","urls":["http://1"]}"#);
    }

    #[test]
    fn a_node_is_shown_with_what_it_does() {
        let mut node =
            NodeRecord { name: "gate-1".into(), services: vec!["Room".into()], ..NodeRecord::default() };
        node.set_state(dunlin::NodeState::Draining);
        node.roles = vec![NodeRole::Gate.into(), NodeRole::Voter.into()];
        let line = shown(|out| tell(&node, false, out));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["gate-1", "draining", "gate,voter", "Room"]);
    }
}
