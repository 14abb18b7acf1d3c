package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"oncegate/internal/client"
)

// sendStream uploads to d what body has, in parts of 5 MiB.
func sendStream(t *testing.T, d *partsDeployment, body io.Reader) (client.Stored, error) {
	t.Helper()
	if d.parts == nil {
		d.parts = map[int][]byte{}
	}
	s, _ := server(t, d.ServeHTTP)
	return client.PutStream(t.Context(), client.Parts{
		URL: minted(t, s.URL), PartBytes: partSize, Parallel: 2, Sleep: func(context.Context, time.Duration) error { return nil },
	}, body)
}

func TestPutStream(t *testing.T) {
	once := func(kind, fault string) func(string, int) string {
		return func(k string, n int) string {
			if k == kind && n == 1 {
				return fault
			}
			return ""
		}
	}
	there := map[int][]byte{1: large[:partSize], 2: large[partSize : 2*partSize]}
	for _, tt := range []struct {
		name  string
		d     *partsDeployment
		size  int
		parts int
	}{
		{"one byte", &partsDeployment{}, 1, 1},
		{"one part", &partsDeployment{}, partSize, 1},
		{"one part and a byte", &partsDeployment{}, partSize + 1, 2},
		{"four parts", &partsDeployment{}, len(large), 4},
		{"as many as there can be", &partsDeployment{numbers: 3}, 3 * partSize, 3},
		{"as large as the URL takes", &partsDeployment{most: 2*partSize + 1}, 2*partSize + 1, 3},
		{"part dropped", &partsDeployment{fault: once("PUT 2", "drop")}, len(large), 4},
		{"answer of a part lost", &partsDeployment{fault: once("PUT 4", "lose")}, len(large), 4},
		{"answer of complete lost", &partsDeployment{fault: once("POST complete", "lose")}, len(large), 4},
		{"goes on", &partsDeployment{parts: there, fault: func(kind string, _ int) string {
			return map[string]string{"PUT 1": "drop", "PUT 2": "drop"}[kind]
		}}, len(large), 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stored, err := sendStream(t, tt.d, iotest.HalfReader(bytes.NewReader(large[:tt.size])))
			tt.d.mu.Lock()
			defer tt.d.mu.Unlock()
			if err != nil || !bytes.Equal(tt.d.object, large[:tt.size]) || stored.Size != int64(tt.size) || stored.Parts != tt.parts || stored.CRC64NVME == "" {
				t.Errorf("%+v, %v, %d bytes stored", stored, err, len(tt.d.object))
			}
		})
	}
}

// TestPutStreamRefused: nothing is spent, and no object is made of a beginning.
func TestPutStreamRefused(t *testing.T) {
	broken := errors.New("the pipe broke")
	for _, tt := range []struct {
		name, want string
		d          *partsDeployment
		body       io.Reader
		started    int
	}{
		{"nothing", "empty", &partsDeployment{}, strings.NewReader(""), 0},
		{"broken at once", "the pipe broke", &partsDeployment{}, iotest.ErrReader(broken), 0},
		{"broken later", "the pipe broke", &partsDeployment{}, io.MultiReader(bytes.NewReader(large), iotest.ErrReader(broken)), 1},
		{"cut short", "unexpected EOF", &partsDeployment{}, io.MultiReader(bytes.NewReader(large), iotest.ErrReader(io.ErrUnexpectedEOF)), 1},
		{"too large", "at most 5242881 bytes", &partsDeployment{most: partSize + 1}, bytes.NewReader(large), 1},
		{"too many parts", "more than fits in 2 parts of 5242880 bytes", &partsDeployment{numbers: 2}, bytes.NewReader(large), 1},
		{"no answer to a part", "no answer", &partsDeployment{fault: func(kind string, _ int) string {
			return map[string]string{"PUT 2": "drop"}[kind]
		}}, bytes.NewReader(large), 1},
		{"other parts are there", "incomplete", &partsDeployment{parts: maps.Clone(map[int][]byte{9: {1}})}, bytes.NewReader(large), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := sendStream(t, tt.d, tt.body)
			tt.d.mu.Lock() // a part may still be under way
			defer tt.d.mu.Unlock()
			if err == nil || !strings.Contains(err.Error(), tt.want) || client.FateOf(err) != client.Good || tt.d.spentBy != "" {
				t.Errorf("%v, URL %s, spent by %q", err, client.FateOf(err), tt.d.spentBy)
			}
			if n := tt.d.count("POST uploads"); n != tt.started {
				t.Errorf("started %d times", n)
			}
		})
	}
}

// TestPutStreamInterrupted: a reader that gives nothing does not hold up the end.
func TestPutStreamInterrupted(t *testing.T) {
	d := &partsDeployment{parts: map[int][]byte{}}
	s, _ := server(t, d.ServeHTTP)
	silent, writer := io.Pipe()
	defer writer.Close()
	for name, body := range map[string]io.Reader{"at once": silent, "later": io.MultiReader(bytes.NewReader(large), silent)} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := client.PutStream(ctx, client.Parts{URL: minted(t, s.URL)}, body); !errors.Is(err, context.DeadlineExceeded) || client.FateOf(err) != client.Good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
