// The Go peer of the bench's HTTP clients: net/http's Transport under load. It takes the arguments of http-load and
// prints the same JSON line.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"
)

// idleMax is how many idle connections are kept: more than there are tasks, so that none is closed for that.
const idleMax = 4096

// report is the line; a figure that the kind of work does not have is left out.
type report struct {
	Connections *int    `json:"connections,omitempty"`
	Ops         int     `json:"ops"`
	Seconds     float64 `json:"seconds"`
	Cost        float64 `json:"client_cpu_us_per_op"`
	TotalMs     float64 `json:"total_ms,omitempty"`
	Rate        float64 `json:"rate"`
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	Lost        int     `json:"lost"`
	Wrong       int     `json:"wrong"`
}

func newClient(ca string, protocol string, connsMax int) (*client, error) {
	config := &tls.Config{}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate")
		}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "h1")
	protocols.SetHTTP2(protocol == "h2")
	dialer := &net.Dialer{Timeout: 30 * time.Second}
	return &client{transport: &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns:        idleMax,
		MaxIdleConnsPerHost: idleMax,
		MaxConnsPerHost:     connsMax,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		Protocols:           protocols,
	}}, nil
}

func run() error {
	target := flag.String("target", "", "URL that is asked for")
	ca := flag.String("ca", "", "certificate that is trusted, as PEM")
	protocol := flag.String("protocol", "h1", "h1 or h2")
	connsMax := flag.Int("conns-max", 0, "connections that the client may have at a time; 0 is any number")
	limit := flag.Int("limit-s", 60, "seconds after which the run is given up")
	flag.Parse()

	// One thread for each client: the server has the other core.
	runtime.GOMAXPROCS(1)
	time.AfterFunc(time.Duration(*limit)*time.Second, func() {
		fmt.Fprintln(os.Stderr, "the time is up")
		os.Exit(1)
	})
	c, err := newClient(*ca, *protocol, *connsMax)
	if err != nil {
		return err
	}
	if c.target, err = url.Parse(*target); err != nil {
		return err
	}
	if flag.NArg() == 0 {
		return errors.New("what to do: steady or wave")
	}
	var measured report
	switch work, rest := flag.Arg(0), flag.Args()[1:]; work {
	case "steady":
		measured, err = c.steady(rest)
	case "wave":
		measured, err = c.wave(rest)
	default:
		return fmt.Errorf("no such work: %s", work)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
