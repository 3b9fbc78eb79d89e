// The two kinds of work: requests over connections that are kept, and many requests at once.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// expected is the body of every answer in steady work.
const expected = "hello"

type client struct {
	transport *http.Transport
	target    *url.URL
}

// get sends one GET and reads the body of its answer to the end.
func (c *client) get() ([]byte, error) {
	request := &http.Request{Method: http.MethodGet, URL: c.target, Host: c.target.Host, Header: http.Header{}}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return body, nil
}

// seen is what one task saw while it was counted.
type seen struct {
	times       []time.Duration
	lost, wrong int
}

const (
	warmUp  = 0
	counted = 1
	over    = 2
)

func (c *client) steady(arguments []string) (report, error) {
	flags := flag.NewFlagSet("steady", flag.ExitOnError)
	tasks := flags.Int("tasks", 16, "tasks that send at a time")
	duration := flags.Int("duration-ms", 2000, "how long it measures")
	warm := flags.Int("warm-up-ms", 500, "how long it runs before that")
	if err := flags.Parse(arguments); err != nil {
		return report{}, err
	}
	var phase atomic.Int32
	var group sync.WaitGroup
	all := make([]seen, *tasks)
	for i := range all {
		group.Add(1)
		go func() {
			defer group.Done()
			c.work(&phase, &all[i])
		}()
	}
	time.Sleep(time.Duration(*warm) * time.Millisecond)
	cpuBefore, begin := cpu(), time.Now()
	phase.Store(counted)
	time.Sleep(time.Duration(*duration) * time.Millisecond)
	phase.Store(over)
	elapsed, spent := time.Since(begin), cpu()-cpuBefore
	group.Wait()
	return summary(all, elapsed, spent), nil
}

// work sends until it is over. What ends in the counted time is counted; a failure counts whenever it happens.
func (c *client) work(phase *atomic.Int32, s *seen) {
	for {
		sentAt := time.Now()
		body, err := c.get()
		took := time.Since(sentAt)
		now := phase.Load()
		switch {
		case err != nil:
			s.lost++
			// A client that can only fail must not spin until the end.
			time.Sleep(time.Millisecond)
		case string(body) != expected:
			s.wrong++
		case now == counted:
			s.times = append(s.times, took)
		}
		if now == over {
			return
		}
	}
}

func (c *client) wave(arguments []string) (report, error) {
	flags := flag.NewFlagSet("wave", flag.ExitOnError)
	requests := flags.Int("requests", 2000, "requests that are sent at once")
	if err := flags.Parse(arguments); err != nil {
		return report{}, err
	}
	var group sync.WaitGroup
	all := make([]seen, *requests)
	cpuBefore, begin := cpu(), time.Now()
	for i := range all {
		group.Add(1)
		go func() {
			defer group.Done()
			sentAt := time.Now()
			body, err := c.get()
			if err != nil {
				all[i].lost++
				return
			}
			if _, err := strconv.Atoi(string(body)); err != nil {
				all[i].wrong++
			}
			all[i].times = append(all[i].times, time.Since(sentAt))
		}()
	}
	group.Wait()
	elapsed, spent := time.Since(begin), cpu()-cpuBefore
	// One more request hears of all the connections that the server has accepted.
	last, err := c.get()
	if err != nil {
		return report{}, err
	}
	connections, err := strconv.Atoi(string(last))
	if err != nil {
		return report{}, err
	}
	result := summary(all, elapsed, spent)
	result.Connections = &connections
	result.TotalMs = float64(elapsed) / float64(time.Millisecond)
	return result, nil
}

func summary(all []seen, elapsed, spent time.Duration) report {
	var result report
	var times []time.Duration
	for _, s := range all {
		times = append(times, s.times...)
		result.Lost += s.lost
		result.Wrong += s.wrong
	}
	result.Ops, result.Seconds = len(times), elapsed.Seconds()
	if len(times) == 0 {
		return result
	}
	slices.Sort(times)
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	result.Rate = float64(len(times)) / elapsed.Seconds()
	result.Cost = us(spent) / float64(len(times))
	result.P50 = us(times[len(times)/2])
	result.P99 = us(times[min(len(times)*99/100, len(times)-1)])
	return result
}

// cpu is the processor time of this process so far, user and system, of all threads: the scheduler's own account.
// Go ends no thread here, so none is missing.
func cpu() time.Duration {
	var total time.Duration
	paths, _ := filepath.Glob("/proc/self/task/*/schedstat")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text))
		if len(fields) == 0 {
			continue
		}
		ns, _ := strconv.ParseInt(fields[0], 10, 64)
		total += time.Duration(ns)
	}
	return total
}
