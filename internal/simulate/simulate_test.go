package simulate_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/internal/simulate"
)

const ms = time.Millisecond

// exact is a model without chance: every spread is its median.
func exact() simulate.Model {
	still := func(d time.Duration) simulate.Spread { return simulate.Spread{P50: d, P99: d} }
	return simulate.Model{
		TripP99: 1,
		Read:    still(20 * ms), Write: still(30 * ms), Invoke: still(10 * ms),
		EdgeStart: still(200 * ms), RegionalStart: still(100 * ms),
		EdgeMint: simulate.Compute{Each: 1 * ms}, EdgeGate: simulate.Compute{Each: 2 * ms}, Stub: simulate.Compute{Each: 1 * ms},
		RegionalMint: simulate.Compute{Each: 1 * ms}, RegionalGate: simulate.Compute{Each: 1 * ms},
		EdgeMemory: 1769, RegionalMemory: 1769,
		KeepWarm: time.Hour, KeepAlive: time.Hour, Between: still(5 * time.Second),
	}
}

func load(bucket string, perHour float64, viewers ...string) simulate.Load {
	l := simulate.Load{Bucket: bucket, PerHour: perHour, Uploads: 2000, Seed: 7}
	for _, region := range viewers {
		l.Viewers = append(l.Viewers, simulate.Viewers{Region: region, Weight: 1})
	}
	return l
}

func run(t *testing.T, l simulate.Load, m simulate.Model, r simulate.Runtime) simulate.Result {
	t.Helper()
	result, err := simulate.Run(l, m, r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Warm, connected and without chance, each wait can be added up by hand: a trip from Tokyo
// to Ireland is 201 ms, within Ireland 1 ms.
func TestByHand(t *testing.T) {
	l := load("eu-west-1", 600, "ap-northeast-1")
	edge, regional := run(t, l, exact(), simulate.Edge), run(t, l, exact(), simulate.Regional)
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"edge mint", edge.Mint.P50, (201 + 30 + 1) * ms},
		{"edge gate", edge.Gate.P50, (201 + 20 + 201 + 30 + 2) * ms},
		{"regional mint", regional.Mint.P50, (201 + 10 + 1 + 1 + 30 + 1) * ms},
		{"regional gate", regional.Gate.P50, (201 + 10 + 1 + 20 + 1 + 30 + 1 + 1) * ms},
	} {
		if c.got != c.want {
			t.Errorf("%s %v, want %v", c.name, c.got, c.want)
		}
	}
	// USD: two invocations at the edge and their time; behind them two more.
	const edgeUSD = 2*0.60 + (0.232+0.454)*1769/1024*50.01
	if diff := edge.LambdaUSD - edgeUSD; diff < 0 || diff > 0.05*edgeUSD { // the cold ones are on top
		t.Errorf("edge costs %.2f, want a little over %.2f", edge.LambdaUSD, edgeUSD)
	}
}

// The first call of a container waits for its start, TCP and TLS.
func TestCold(t *testing.T) {
	l := load("eu-west-1", 600, "ap-northeast-1")
	l.Uploads = 1
	if got := run(t, l, exact(), simulate.Edge).Mint; got.P50 != (200+2*201+201+30+1)*ms || got.Cold != 1 {
		t.Errorf("edge: %v, cold %g", got.P50, got.Cold)
	}
	if got := run(t, l, exact(), simulate.Regional).Mint; got.P50 != (200+2*201+1+201+10+100+2*1+1+30+1)*ms || got.Cold != 1 {
		t.Errorf("regional: %v, cold %g", got.P50, got.Cold)
	}
	// Rare calls find everything cold, frequent ones nearly nothing.
	rare, frequent := load("eu-west-1", 0.01, "eu-west-1"), load("eu-west-1", 1000, "eu-west-1")
	if got := run(t, rare, exact(), simulate.Edge).Mint.Cold; got < 0.95 {
		t.Errorf("one call in 100 hours is cold in %g", got)
	}
	if got := run(t, frequent, exact(), simulate.Edge).Mint.Cold; got > 0.05 {
		t.Errorf("a thousand calls an hour are cold in %g", got)
	}
	idle := exact()
	idle.KeepAlive = 0
	if got := run(t, frequent, idle, simulate.Edge).Mint.P50; got != (2*1+1+30+1)*ms {
		t.Errorf("warm with its connections gone: %v", got)
	}
}

// Far from the bucket one trip beats two. Near it the detour costs time.
func TestWhichIsFaster(t *testing.T) {
	far, near := load("eu-west-1", 1000, "ap-southeast-2"), load("eu-west-1", 1000, "eu-west-1")
	m := simulate.DefaultModel(256, 256)
	if edge, regional := run(t, far, m, simulate.Edge), run(t, far, m, simulate.Regional); regional.Gate.P50 >= edge.Gate.P50 {
		t.Errorf("from Sydney to Ireland: regional %v, edge %v", regional.Gate.P50, edge.Gate.P50)
	}
	if edge, regional := run(t, near, m, simulate.Edge), run(t, near, m, simulate.Regional); regional.Mint.P50 <= edge.Mint.P50 {
		t.Errorf("within Ireland: regional %v, edge %v", regional.Mint.P50, edge.Mint.P50)
	}
}

func TestRepeatable(t *testing.T) {
	l := load("us-east-1", 100, "us-east-1", "eu-west-1")
	m := simulate.DefaultModel(256, 256)
	first, again := run(t, l, m, simulate.Regional), run(t, l, m, simulate.Regional)
	if !reflect.DeepEqual(first, again) {
		t.Error("the same seed gave something else")
	}
	l.Seed++
	if reflect.DeepEqual(first, run(t, l, m, simulate.Regional)) {
		t.Error("another seed gave the same")
	}
	if p := first.Gate; p.P50 > p.P90 || p.P90 > p.P99 {
		t.Errorf("percentiles %+v", p)
	}
}

func TestRoundTrips(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     time.Duration
	}{
		{"us-east-1", "us-east-1", 4 * ms}, {"us-west-2", "us-west-2", 3 * ms},
		{"af-south-1", "us-west-2", 273 * ms}, {"us-west-2", "af-south-1", 274 * ms}, {"eu-west-1", "us-east-1", 69 * ms},
	} {
		if got, err := simulate.RoundTrip(c.from, c.to); err != nil || got != c.want {
			t.Errorf("%s to %s: %v, %v", c.from, c.to, got, err)
		}
	}
	if err := simulate.CheckTable(); err != nil {
		t.Error(err)
	}
	if _, err := simulate.RoundTrip("moon-1", "us-east-1"); err == nil || !strings.Contains(err.Error(), `"moon-1"`) || !strings.Contains(err.Error(), "sa-east-1") {
		t.Errorf("an unknown Region: %v", err)
	}
}

func TestBadLoad(t *testing.T) {
	good := load("us-east-1", 100, "us-east-1")
	for want, damage := range map[string]func(*simulate.Load){
		"in an hour":  func(l *simulate.Load) { l.PerHour = 0 },
		"to play":     func(l *simulate.Load) { l.Uploads = 0 },
		"1000000":     func(l *simulate.Load) { l.Uploads = 1_000_001 },
		"no viewers":  func(l *simulate.Load) { l.Viewers = nil },
		"weight":      func(l *simulate.Load) { l.Viewers = []simulate.Viewers{{Region: "us-east-1"}} },
		`"mars"`:      func(l *simulate.Load) { l.Bucket = "mars" },
		`"us-east-9"`: func(l *simulate.Load) { l.Viewers = []simulate.Viewers{{Region: "us-east-9", Weight: 1}} },
	} {
		l := good
		damage(&l)
		if _, err := simulate.Run(l, exact(), simulate.Edge); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
