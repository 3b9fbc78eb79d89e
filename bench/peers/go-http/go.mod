module dunlin.bench/go-http

go 1.24
