// Package simulate plays uploads with both runtimes, using published round trips between
// AWS Regions. Its results say which runtime is faster and cheaper for a given load.
package simulate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Runtime is where the decision is made.
type Runtime string

// The runtimes, by the names that config.json gives them.
const (
	Edge     Runtime = "edge"
	Regional Runtime = "regional"
)

// Viewers is a share of the uploads: those whose functions CloudFront runs in Region.
type Viewers struct {
	Region string
	Weight float64
}

// Load is the traffic that is played.
type Load struct {
	// Bucket is the Region of the bucket and of regional functions.
	Bucket  string
	Viewers []Viewers
	// InTable says that the index is in a DynamoDB table, and not in the bucket.
	InTable bool
	// PerHour is how many uploads there are in an hour, from everywhere together.
	PerHour float64
	// Uploads is how many are played.
	Uploads int
	// Seed makes a run repeatable.
	Seed uint64
}

// maxUploads limits a run to about a second.
const maxUploads = 1_000_000

func (l Load) check() error {
	if l.PerHour <= 0 {
		return errors.New("uploads in an hour must be more than 0")
	}
	if l.Uploads < 1 || l.Uploads > maxUploads {
		return fmt.Errorf("uploads to play are %d: allowed is 1 to %d", l.Uploads, maxUploads)
	}
	if len(l.Viewers) == 0 {
		return errors.New("no viewers: name at least one Region")
	}
	for _, v := range l.Viewers {
		if v.Weight <= 0 {
			return fmt.Errorf("weight of %s is %g: allowed is more than 0", v.Region, v.Weight)
		}
		if _, err := RoundTrip(v.Region, l.Bucket); err != nil {
			return err
		}
	}
	return nil
}

// Percentiles are how long viewers wait for one kind of invocation. The way from the viewer
// to CloudFront and the upload itself are not included.
type Percentiles struct {
	P50, P90, P99 time.Duration
	// Cold is the share that waited for a container to start, 0 to 1.
	Cold float64
}

// Result is the result for one runtime.
type Result struct {
	Mint, Gate Percentiles
	// GateOf has the gate's percentiles by viewers, in the order of Load.Viewers.
	GateOf []Percentiles
	// LambdaUSD is what Lambda and Lambda@Edge cost for a million uploads. S3, DynamoDB
	// and CloudFront cost the same in both.
	LambdaUSD float64
}

// Run plays the load with one runtime. The same load and seed give the same result, and
// both runtimes see the same uploads. A load that makes no sense is an error.
func Run(load Load, model Model, runtime Runtime) (Result, error) {
	if err := load.check(); err != nil {
		return Result{}, err
	}
	w := world{load: load, model: model, runtime: runtime, rand: rand.New(rand.NewPCG(load.Seed, 1)), pools: map[poolName]*pool{}}
	mint, gate := tally{}, tally{}
	gateOf := make([]tally, len(load.Viewers))
	for _, call := range calls(load, model) {
		waited, cold := w.invoke(call)
		if call.job == mintJob {
			mint.add(waited, cold)
			continue
		}
		gate.add(waited, cold)
		gateOf[call.viewers].add(waited, cold)
	}
	result := Result{Mint: mint.percentiles(), Gate: gate.percentiles(), LambdaUSD: w.usd / float64(load.Uploads) * 1e6}
	for _, t := range gateOf {
		result.GateOf = append(result.GateOf, t.percentiles())
	}
	return result, nil
}

type job int

const (
	mintJob job = iota
	gateJob
)

// call is one request of a viewer.
type call struct {
	at      time.Duration // since the start
	job     job
	viewers int // index in Load.Viewers
}

// calls returns all requests in the order of their times. Uploads arrive independently of
// each other. Each is a mint and, some time later, a gate.
func calls(load Load, model Model) []call {
	r := rand.New(rand.NewPCG(load.Seed, 2))
	var total float64
	for _, v := range load.Viewers {
		total += v.Weight
	}
	var all []call
	var now time.Duration
	for range load.Uploads {
		now += time.Duration(r.ExpFloat64() * float64(time.Hour) / load.PerHour)
		pick, from := r.Float64()*total, 0
		for from < len(load.Viewers)-1 && pick >= load.Viewers[from].Weight {
			pick -= load.Viewers[from].Weight
			from++
		}
		all = append(all, call{now, mintJob, from}, call{now + model.Between.draw(r), gateJob, from})
	}
	slices.SortStableFunc(all, func(a, b call) int { return int(a.at - b.at) })
	return all
}

type tally struct {
	waits []time.Duration
	cold  int
}

func (t *tally) add(waited time.Duration, cold bool) {
	t.waits = append(t.waits, waited)
	if cold {
		t.cold++
	}
}

func (t *tally) percentiles() Percentiles {
	if len(t.waits) == 0 {
		return Percentiles{}
	}
	slices.Sort(t.waits)
	at := func(q float64) time.Duration { return t.waits[int(q*float64(len(t.waits)-1))] }
	return Percentiles{at(0.50), at(0.90), at(0.99), float64(t.cold) / float64(len(t.waits))}
}
