package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"oncegate/internal/layout"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/s3server"
	"oncegate/internal/onetime"
)

// real is versitygw behind package s3server. It cannot be slowed down, and its bytes are
// not counted. It shows that the candidates work with a server that is not ours.
type real struct {
	*s3server.Server
	entries string // the folder in which versitygw keeps the bucket's objects
	filled  int
}

// The credentials that the runner gives to the candidates, for both servers.
const (
	accessKey = "ONCEGATEBENCH"
	secretKey = "oncegate-bench-secret"
)

func startReal(binary, dir, bucket string) (*real, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := s3server.Start(ctx, s3server.Options{
		Binary: binary, Dir: dir, Bucket: bucket, Region: "us-east-1",
		Operator: sigv4.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, Addr: "127.0.0.1:0",
	})
	if err != nil {
		return nil, err
	}
	return &real{Server: s, entries: filepath.Join(dir, "objects", bucket)}, nil
}

func (r *real) addresses() (string, string) { return r.URL(), "" }
func (r *real) close()                      { r.Close() }
func (r *real) counts() counts              { return counts{Requests: r.Requests()} }

// reset empties nothing. It writes the files in which versitygw would keep the entries,
// because a hundred thousand requests would take longer than the rest of the benchmark.
func (r *real) reset(delay time.Duration, fill int) error {
	if delay != 0 {
		return fmt.Errorf("versitygw cannot be slowed down")
	}
	r.ResetRequests()
	for _, folder := range []string{layout.ValidEntries, layout.ExpiredEntries} {
		if err := os.MkdirAll(filepath.Join(r.entries, folder), 0o755); err != nil {
			return err
		}
	}
	valid := onetime.ValidEntry{
		Version: 1, Created: time.Now().UTC().Truncate(time.Second), Key: layout.Uploads + uuid.NewString(), Label: "a filler",
	}
	valid.Expires = valid.Created.Add(24 * time.Hour)
	used := onetime.ExpiredEntry{Version: 1, Reason: onetime.Used, At: valid.Created, Nonce: strings.Repeat("0", 32)}
	bodies := [][]byte{valid.Marshal(), used.Marshal()}
	for ; r.filled < fill; r.filled++ {
		if err := os.WriteFile(filepath.Join(r.entries, fillerKey(r.filled)), bodies[r.filled%2], 0o644); err != nil {
			return err
		}
	}
	return nil
}
