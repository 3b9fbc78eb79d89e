// The kernel's figures of both members, and the line they end in.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// report is the line; a figure that the kind of work does not have is left out.
type report struct {
	Rate         float64 `json:"rate,omitempty"`
	MbPerS       float64 `json:"mb_per_s,omitempty"`
	Cost         float64 `json:"cpu_us_per_op,omitempty"`
	SenderCost   float64 `json:"client_cpu_us_per_op,omitempty"`
	ReceiverCost float64 `json:"server_cpu_us_per_op,omitempty"`
	P50          float64 `json:"p50_us,omitempty"`
	P99          float64 `json:"p99_us,omitempty"`
	TotalMs      float64 `json:"total_ms,omitempty"`
	PeakBytes    int64   `json:"peak_bytes,omitempty"`
	Lost         uint64  `json:"lost"`
	Wrong        uint64  `json:"wrong"`
}

func (r *report) setCosts(ops uint64, elapsed time.Duration, spent [2]time.Duration) {
	if ops == 0 {
		return
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / float64(ops) }
	r.Rate = float64(ops) / elapsed.Seconds()
	r.SenderCost, r.ReceiverCost, r.Cost = us(spent[0]), us(spent[1]), us(spent[0]+spent[1])
}

// sample is processor time of the sender and the receiver, by thread.
type sample [2]map[string]time.Duration

func (s *sender) cpu() sample {
	return sample{threads("self"), threads(strconv.Itoa(s.receiverPid))}
}

func threads(pid string) map[string]time.Duration {
	spent := map[string]time.Duration{}
	paths, _ := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			ns, _ := strconv.ParseInt(fields[0], 10, 64)
			spent[path] = time.Duration(ns)
		}
	}
	return spent
}

// since is what was spent from earlier on. Go ends no thread here, so none is missing.
func (s sample) since(earlier sample) [2]time.Duration {
	var spent [2]time.Duration
	for n := range s {
		for thread, now := range s[n] {
			spent[n] += now - earlier[n][thread]
		}
	}
	return spent
}

func (s *sender) pids() []string {
	return []string{"self", strconv.Itoa(s.receiverPid)}
}

// restartPeaks lets the peaks of both begin anew, and says what is resident now.
func (s *sender) restartPeaks() (int64, error) {
	var resident int64
	for _, pid := range s.pids() {
		// What the digit means stands in proc(5).
		if err := os.WriteFile("/proc/"+pid+"/clear_refs", []byte("5"), 0); err != nil {
			return 0, err
		}
		bytes, err := kib(pid, "smaps_rollup", "Rss:")
		if err != nil {
			return 0, err
		}
		resident += bytes
	}
	return resident, nil
}

// peaks is the most that was resident in both since then.
func (s *sender) peaks() (int64, error) {
	var peak int64
	for _, pid := range s.pids() {
		bytes, err := kib(pid, "status", "VmHWM:")
		if err != nil {
			return 0, err
		}
		peak += bytes
	}
	return peak, nil
}

func kib(pid, file, name string) (int64, error) {
	text, err := os.ReadFile("/proc/" + pid + "/" + file)
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, name); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s line in %s", name, file)
}
