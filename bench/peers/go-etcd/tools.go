// The etcd server of the bench: `go build -o bin/go-etcd go.etcd.io/etcd/server/v3` builds it, with the versions of go.sum.

//go:build tools

package main

import _ "go.etcd.io/etcd/server/v3/etcdmain"
