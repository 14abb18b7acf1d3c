// Package native measures the Go path by itself: the one-time rule and the S3 client
// of the edge as native code, against an S3 that answers from memory at once.
package native

import (
	"context"
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

const (
	bucket = "oncegate-bench"
	region = "us-east-1"
)

// memory is as much of S3 as the gate uses: GET, HEAD, PUT and PUT if absent.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Send implements wire.Sender.
func (m *memory) Send(_ context.Context, _ time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.objects[target]
	date := wire.Header{Name: "date", Value: time.Now().UTC().Format(http.TimeFormat)}
	switch {
	case method == http.MethodPut && ok && slices.Contains(headers, wire.Header{Name: "if-none-match", Value: "*"}):
		return wire.Reply{Status: http.StatusPreconditionFailed, Headers: []wire.Header{date}}, nil
	case method == http.MethodPut:
		m.objects[target] = body
		return wire.Reply{Status: http.StatusOK, Headers: []wire.Header{date, {Name: "x-amz-version-id", Value: "1"}}}, nil
	case !ok:
		return wire.Reply{Status: http.StatusNotFound, Headers: []wire.Header{date}}, nil
	}
	return wire.Reply{Status: http.StatusOK, Headers: []wire.Header{date}, Body: found}, nil
}

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

func (clock) Sleep(context.Context, time.Duration) error { return nil }

func setUp(b testing.TB) (*onetime.Minter, *onetime.Gate) {
	endpoint, err := s3wire.NewEndpoint(bucket, region, "")
	if err != nil {
		b.Fatal(err)
	}
	client := s3wire.New(bucket, region, endpoint, sigv4.Credentials{
		AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: strings.Repeat("token", 180),
	}, &memory{objects: map[string][]byte{}}, time.Now)
	index := s3index.New(client)
	return &onetime.Minter{Index: index, Clock: clock{}, Entropy: rand.Reader, Region: region,
			Bounds: onetime.Bounds{Life: 15 * time.Minute, MaxLife: time.Hour, MaxBytes: onetime.MaxBytes}},
		&onetime.Gate{
			Index: index, Presigner: client, Clock: clock{}, Entropy: rand.Reader, Region: region,
			FirstVersion: onetime.Conditional,
		}
}

// TestOnce: what is measured is a mint and a gate that pass.
func TestOnce(t *testing.T) {
	minter, gate := setUp(t)
	deadline := time.Now().Add(time.Minute)
	minted, err := minter.Mint(t.Context(), onetime.Order{}, deadline)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Decide(t.Context(), put(minted), deadline); err != nil {
		t.Fatal(err)
	}
	if _, err := gate.Decide(t.Context(), put(minted), deadline); onetime.ReasonOf(err) != onetime.Used {
		t.Errorf("again: %v, want used", err)
	}
}

func put(minted onetime.Minted) onetime.Put {
	return onetime.Put{Method: http.MethodPut, Path: minted.Path, Query: minted.Query, Headers: headers{"content-length": {"1048576"}}}
}

type headers map[string][]string

func (h headers) Values(name string) []string { return h[name] }

func (h headers) Names() []string { return slices.Collect(maps.Keys(h)) }

func BenchmarkMint(b *testing.B) {
	minter, _ := setUp(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := minter.Mint(b.Context(), onetime.Order{}, time.Now().Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMintAndGate(b *testing.B) {
	minter, gate := setUp(b)
	b.ReportAllocs()
	for b.Loop() {
		minted, err := minter.Mint(b.Context(), onetime.Order{}, time.Now().Add(time.Minute))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := gate.Decide(b.Context(), put(minted), time.Now().Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefuse measures a refusal of garbage, for which S3 is not asked.
func BenchmarkRefuse(b *testing.B) {
	_, gate := setUp(b)
	garbage := onetime.Put{Method: http.MethodPut, Path: "/uploads/x", Query: "x=y", Headers: headers{}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gate.Decide(b.Context(), garbage, time.Now().Add(time.Minute)); err == nil {
			b.Fatal("garbage passed")
		}
	}
}
