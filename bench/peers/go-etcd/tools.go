//go:build tools

// The etcd server of the bench: `go build -o bin/go-etcd go.etcd.io/etcd/server/v3` builds it, with the versions of go.sum.
package main

import _ "go.etcd.io/etcd/server/v3/etcdmain"
