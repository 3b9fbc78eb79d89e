//! When a connection serves again, and when it must not.

use std::sync::Arc;
use std::time::Duration;

use dunlin_http::CloseCause;
use dunlin_http::trace::{RequestTrace, Trace};
use http::header::CONNECTION;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use tokio::time::sleep;

use crate::support::{
    Log, OK, URL, fetch, get, http, net, numbered, read, scripted, serve_http, settle, text, total,
};

#[tokio::test(start_paused = true)]
async fn two_requests_share_a_connection() {
    let (net, builder) = numbered();
    let transport = builder.build();
    for _ in 0..2 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "0");
    }
    assert_eq!(net.dials(), 1);
    let stats = total(&transport);
    assert_eq!((stats.idle, stats.active, stats.opened, stats.reused), (1, 0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn without_keep_alives_each_request_has_its_own_connection_and_says_close_once() {
    let (net, builder) = net(|mut peer| async move {
        let head = peer.head().await.unwrap().to_lowercase();
        assert_eq!(head.matches("connection: close").count(), 1, "{head}");
        peer.write(OK).await;
        peer.closed().await;
    });
    let transport = builder.disable_keep_alives(true).build();
    for _ in 0..2 {
        fetch(&transport, URL).await.unwrap();
    }
    let mut request = get(URL);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    read(transport.round_trip(request).await.unwrap()).await.unwrap();
    settle().await;
    assert_eq!((net.dials(), net.open()), (3, 0));
    assert_eq!(total(&transport).closed.count(CloseCause::KeepAlivesDisabled), 3);
}

#[tokio::test(start_paused = true)]
async fn three_thousand_sequential_requests_whose_end_comes_late_use_one_connection() {
    let (net, builder) = net(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
            tokio::task::yield_now().await;
            peer.write("0\r\n\r\n").await;
        }
    });
    let transport = builder.build();
    for _ in 0..3000 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
    }
    assert_eq!(net.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_of_an_idle_connection_is_noticed_without_any_request() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        sleep(Duration::from_secs(1)).await;
    });
    let transport = builder.build();
    fetch(&transport, URL).await.unwrap();
    assert_eq!(total(&transport).idle, 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!((total(&transport).idle, net.open()), (0, 0));
    assert_eq!(total(&transport).closed.count(CloseCause::Peer), 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_says_close_ends_its_connection_even_if_the_server_leaves_it_open() {
    let (net, builder) =
        scripted(|_| "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_owned());
    let transport = builder.build();
    for dials in 1..=3 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
        assert_eq!(net.dials(), dials);
    }
    settle().await;
    let stats = total(&transport);
    assert_eq!((net.open(), stats.open(), stats.closed.count(CloseCause::Exchange)), (0, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_says_close_has_the_last_word_on_its_connection() {
    let log = Log::default();
    let heads = log.clone();
    let (net, builder) = scripted(move |head| {
        heads.add(head.to_lowercase().matches("connection: close").count());
        OK.to_owned()
    });
    let transport = builder.build();
    let closing = || {
        let mut request = get(URL);
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        request
    };
    for dials in 1..=2 {
        read(transport.round_trip(closing()).await.unwrap()).await.unwrap();
        settle().await;
        assert_eq!((net.dials(), net.open(), total(&transport).open()), (dials, 0, 0));
    }
    assert_eq!(log.all(), ["1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn close_is_said_once_if_anybody_asks_for_it_and_else_not() {
    for (is_off, says, expected) in
        [(false, None, 0), (true, None, 1), (false, Some("Close"), 1), (true, Some("x-hop, CLOSE"), 1)]
    {
        let (_net, builder) = scripted(|head| {
            let count = head.to_lowercase().matches("close").count().to_string();
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{count}")
        });
        let transport = builder.disable_keep_alives(is_off).build();
        let mut request = get(URL);
        if let Some(says) = says {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static(says));
        }
        let count = read(transport.round_trip(request).await.unwrap()).await.unwrap();
        assert_eq!(count, expected.to_string(), "keep-alives off: {is_off}, the request says {says:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_idle_connections_leaves_none_to_any_host() {
    let (net, builder) = numbered();
    let transport = builder.build();
    let urls = ["http://a.test/", "http://b.test:8080/x", "http://A.test:80/y"];
    for url in urls {
        fetch(&transport, url).await.unwrap();
    }
    let stats = transport.stats();
    let mut idle: Vec<_> = stats.hosts.iter().map(|(key, host)| (key.to_string(), host.idle)).collect();
    idle.sort();
    assert_eq!(idle, [("http://a.test".to_owned(), 1), ("http://b.test:8080".to_owned(), 1)]);
    transport.close_idle();
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
    assert_eq!(total(&transport).closed.count(CloseCause::CloseIdle), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_read_to_its_end_gives_its_connection_back_while_it_is_still_held() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfoobar",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfoo\r\n3\r\nbar\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let (net, builder) = scripted(move |_| answer.to_owned());
        let transport = builder.build();
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut response = transport.round_trip(get(URL)).await.unwrap();
            let bytes = response.body_mut().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, "foobar");
            assert_eq!(total(&transport).idle, 1, "before anything else ran");
            held.push(response);
        }
        assert_eq!(net.dials(), 1, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn responses_without_a_body_and_encoded_ones_leave_their_connection_usable() {
    let answers = [
        "204 No Content\r\n\r\n",
        "304 Not Modified\r\nContent-Length: 1000\r\n\r\n",
        "200 OK\r\nContent-Length: 0\r\n\r\n",
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\u{1f}zz",
        "200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\u{1f}zz\r\n0\r\n\r\n",
    ];
    for answer in answers {
        let (net, builder) = scripted(move |_| format!("HTTP/1.1 {answer}"));
        let transport = builder.build();
        for _ in 0..3 {
            fetch(&transport, URL).await.unwrap();
            assert_eq!(total(&transport).idle, 1, "{answer}");
        }
        assert_eq!(net.dials(), 1, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_body_gives_its_connection_back_before_its_caller_has_it() {
    let (net, builder) = scripted(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
    let transport = builder.build();
    let first = transport.round_trip(get(URL)).await.unwrap();
    assert_eq!(total(&transport).idle, 1);
    transport.round_trip(get(URL)).await.unwrap();
    drop(first);
    assert_eq!((net.dials(), total(&transport).reused), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_no_body_whatever_length_it_names() {
    for length in ["Content-Length: 500000", "Transfer-Encoding: chunked"] {
        let (net, builder) = scripted(move |head| {
            assert!(head.starts_with("HEAD / "), "{head}");
            format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n")
        });
        let transport = builder.build();
        for _ in 0..3 {
            let mut request = get(URL);
            *request.method_mut() = Method::HEAD;
            let response = transport.round_trip(request).await.unwrap();
            let (name, value) = length.split_once(": ").unwrap();
            assert_eq!(response.headers()[name], value);
            assert_eq!(read(response).await.unwrap(), "");
        }
        assert_eq!(net.dials(), 1, "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_408_on_an_idle_connection_is_no_answer_to_the_next_request() {
    let (net, builder) = net(|mut peer| async move {
        peer.head().await;
        peer.write(OK).await;
        sleep(Duration::from_secs(1)).await;
        peer.write("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n").await;
        peer.closed().await;
    });
    let transport = builder.build();
    for dials in 1..=3 {
        assert_eq!(fetch(&transport, URL).await.unwrap(), "ok");
        assert_eq!(net.dials(), dials);
        sleep(Duration::from_secs(2)).await;
        let stats = total(&transport);
        assert_eq!((net.open(), stats.open(), stats.retries), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_serves_nobody_else_and_serves_again_when_it_is_free() {
    let (net, builder) = http(|request, index| async move {
        let seconds = request.uri().path().trim_start_matches('/').parse().unwrap();
        sleep(Duration::from_secs(seconds)).await;
        text(index)
    });
    let transport = builder.build();
    let slow = tokio::spawn({
        let transport = transport.clone();
        async move { fetch(&transport, "http://host.test/10").await.unwrap() }
    });
    settle().await;
    assert_eq!(fetch(&transport, "http://host.test/0").await.unwrap(), "1");
    assert_eq!(fetch(&transport, "http://host.test/0").await.unwrap(), "1");
    assert_eq!(slow.await.unwrap(), "0");
    assert_eq!(fetch(&transport, "http://host.test/0").await.unwrap(), "0", "the newest idle one");
    assert_eq!(net.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_broke_under_its_request_is_not_used_again() {
    let (net, builder) = net(|mut peer| async move {
        if peer.index == 0 {
            peer.head().await;
            peer.write("HTTP/1.1 200 OK\r\nContent-Len").await;
            return;
        }
        serve_http(peer, |_, index| async move { text(index) }).await;
    });
    let transport = builder.build();
    let error = transport.round_trip(get(URL)).await.unwrap_err();
    assert!(error.has_sent_bytes());
    settle().await;
    assert_eq!((net.open(), total(&transport).open()), (0, 0));
    assert_eq!(fetch(&transport, URL).await.unwrap(), "1");
}

/// Logs what it hears of the end of exchanges.
struct Puts(Log);

impl Trace for Puts {
    fn put_idle_conn(&self, result: Result<(), CloseCause>) {
        self.0.add(format!("{result:?}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_hears_whether_the_connection_was_kept_and_why_not() {
    for (is_off, answer, expected) in [
        (false, OK, "Ok(())"),
        (true, OK, "Err(KeepAlivesDisabled)"),
        (false, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "Err(Exchange)"),
        (false, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "Err(Exchange)"),
        (false, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "Err(Exchange)"),
        (false, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "Ok(())"),
    ] {
        let (_net, builder) = scripted(move |_| answer.to_owned());
        let transport = builder.disable_keep_alives(is_off).build();
        let log = Log::default();
        let mut request = get(URL);
        request.extensions_mut().insert(RequestTrace::new(Arc::new(Puts(log.clone()))));
        read(transport.round_trip(request).await.unwrap()).await.unwrap();
        assert_eq!(log.all(), [expected], "{answer}");
    }
}
