package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc64"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server/s3servertest"
)

// TestPutThroughCuts: every connection breaks off after a random number of bytes, again and
// again, and the program is killed once. One object comes to be, of the right bytes, with one
// URL. The file has 100 MiB, cut every 25 to 50 MB, or ONCEGATE_BIG_BODY GiB, cut every 50 to
// 300 MB.
func TestPutThroughCuts(t *testing.T) {
	if testing.Short() {
		t.Skip("sends much")
	}
	size, least, most, parallel := int64(100<<20), int64(25e6), int64(50e6), 2
	gib := testbed.Asked(t, "ONCEGATE_BIG_BODY", 0)
	large := gib > 0
	if large {
		size, least, most, parallel = int64(gib)<<30, 50e6, 300e6, 4
	}
	st := testbed.New(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "big.iso")
	wantSHA, wantCRC := writeRandom(t, file, size)

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := newCutter(t, strings.TrimPrefix(st.Edge.URL(), "http://"), rand.New(rand.NewPCG(seed, 0)), least, most)
	run := func(kill bool) (stdout, stderr bytes.Buffer, err error) {
		cmd := exec.CommandContext(t.Context(), "oncegate", "put", "--json", "--distribution", "http://"+p.address, "--label", "cut", "--parallel", strconv.Itoa(parallel), file)
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if kill {
			p.at(size/2, func() { cmd.Process.Kill() })
		}
		began := time.Now()
		err = cmd.Run()
		t.Logf("ran %s, %d MB of memory at most; %d bytes and %d cuts so far: %v %s",
			time.Since(began).Round(time.Millisecond), mostMemory(cmd)>>20, p.sentBytes(), p.cuts(), err, stderr.String())
		return stdout, stderr, err
	}
	_, _, err := run(true)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
		t.Fatalf("it was to be killed: %v", err)
	}
	stdout, stderr, err := run(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", stdout.String())
	if !strings.Contains(stderr.String(), "goes on where an earlier run ended") {
		t.Error("it did not go on")
	}
	// A cut costs the parts that are under way, and so does the end of the program.
	if sent, most := p.sentBytes(), size+int64((p.cuts()+1)*parallel)*(8<<20)+1<<20; sent > most {
		t.Errorf("%d bytes were sent, want at most %d", sent, most)
	}
	if p.cuts() < 2 {
		t.Errorf("%d cuts", p.cuts())
	}

	var done putJSON
	// S3's checksum is in the answer to the complete that makes the object, and a large one is
	// made after that.
	if err := json.Unmarshal(stdout.Bytes(), &done); err != nil || !done.Verified || done.Size != size ||
		done.CRC64 != wantCRC && (done.CRC64 != "" || !large) {
		t.Errorf("said %s, %v; CRC-64 of the file %s", stdout.String(), err, wantCRC)
	}
	client := s3servertest.Client(st.S3)
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &done.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	sum := sha256.New()
	if n, err := io.Copy(sum, out.Body); err != nil || n != size || !bytes.Equal(sum.Sum(nil), wantSHA) {
		t.Errorf("another object is stored: %d bytes, %v", n, err)
	}
	for prefix, want := range map[string]int{"uploads/": 1, "signatures/valid/": 1} {
		list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(s3servertest.Bucket), Prefix: &prefix})
		if err != nil || len(list.Versions) != want {
			t.Errorf("%d under %s, %v, want %d", len(list.Versions), prefix, err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "oncegate", "uploads")); len(left) != 0 || err != nil {
		t.Errorf("kept: %v, %v", left, err)
	}
}

// writeRandom makes a file and returns its SHA-256 and its CRC-64/NVME as S3 writes it.
func writeRandom(t *testing.T, path string, size int64) ([]byte, string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	sha, crc := sha256.New(), crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	if _, err = io.CopyN(io.MultiWriter(f, sha, crc), rand.NewChaCha8([32]byte{1}), size); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return sha.Sum(nil), base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc.Sum64()))
}

// cutter passes connections on to a server. After a random number of bytes of clients it cuts
// all that are open.
type cutter struct {
	address     string
	least, most int64

	mu     sync.Mutex
	random *rand.Rand
	open   map[net.Conn]bool
	sent   int64 // by clients
	next   int64 // cut
	n      int   // cuts
	mark   int64
	call   func() // at mark
}

func newCutter(t *testing.T, to string, random *rand.Rand, least, most int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{address: l.Addr().String(), least: least, most: most, random: random, open: map[net.Conn]bool{}}
	c.plan()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { c.pass(conn, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		c.cut()
		c.mu.Unlock()
		all.Wait()
	})
	return c
}

// plan chooses the next cut. The lock is held, or nobody else has c yet.
func (c *cutter) plan() { c.next = c.sent + c.least + c.random.Int64N(c.most-c.least+1) }

// at has a function called once when so many bytes have come.
func (c *cutter) at(sent int64, call func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark, c.call = sent, call
}

func (c *cutter) cuts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *cutter) sentBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// cut breaks off what is open. The lock is held.
func (c *cutter) cut() {
	for conn := range c.open {
		conn.Close()
	}
	clear(c.open)
}

func (c *cutter) pass(conn net.Conn, to string) {
	defer conn.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	c.mu.Lock()
	c.open[conn], c.open[server] = true, true
	c.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(conn, server)
		conn.Close()
	})
	io.Copy(io.MultiWriter(server, counted{c}), conn)
	server.Close()
	back.Wait()
	c.mu.Lock()
	delete(c.open, conn)
	delete(c.open, server)
	c.mu.Unlock()
}

type counted struct{ *cutter }

// Write implements io.Writer. It counts.
func (c counted) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(len(p))
	if c.call != nil && c.sent >= c.mark {
		c.call()
		c.call = nil
	}
	if c.sent >= c.next {
		c.n++
		c.cut()
		c.plan()
	}
	return len(p), nil
}
