// Reads metrics from standard input as Prometheus reads them, and says what there is. Fails when Prometheus would.
package main

import (
	"fmt"
	"os"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// must be there of a node that has served a call.
var must = map[string]dto.MetricType{
	"dunlin_sessions":          dto.MetricType_GAUGE,
	"dunlin_messages_in_total": dto.MetricType_COUNTER,
	"dunlin_calls_total":       dto.MetricType_COUNTER,
	"dunlin_call_seconds":      dto.MetricType_HISTOGRAM,
}

func main() {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(os.Stdin)
	if err != nil {
		fail("Prometheus cannot read it: %v", err)
	}
	series := 0
	for name, family := range families {
		seen := map[string]bool{}
		for _, metric := range family.Metric {
			series++
			key := fmt.Sprint(metric.Label)
			if seen[key] {
				fail("%s is there twice with the labels %s", name, key)
			}
			seen[key] = true
			checkBuckets(name, metric.Histogram)
		}
	}
	for name, kind := range must {
		family := families[name]
		if family == nil || family.GetType() != kind {
			fail("%s is missing, or no %s", name, strings.ToLower(kind.String()))
		}
	}
	fmt.Printf("%d metrics, %d series\n", len(families), series)
}

func checkBuckets(name string, histogram *dto.Histogram) {
	var below uint64
	for _, bucket := range histogram.GetBucket() {
		if bucket.GetCumulativeCount() < below {
			fail("%s has a bucket with less in it than the one before", name)
		}
		below = bucket.GetCumulativeCount()
	}
	if histogram != nil && below != histogram.GetSampleCount() {
		fail("%s counts %d in its last bucket and %d in all", name, below, histogram.GetSampleCount())
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
