package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/cloudfront"
)

// request describes a request for a client to make. The body repeats "x".
type request struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Size   int    `json:"size"`
	Type   string `json:"type"` // content-type, none if empty
}

// reply is what a client says of an answer.
type reply struct {
	Status int    `json:"status"`
	Reason string `json:"reason"`
	Body   string `json:"body"`
}

// client makes requests one after the other with a program that people use. page is the
// page for a browser, of the one origin that may read the answers.
type client func(t *testing.T, page string, requests []request) []reply

var clients = map[string]client{"curl": curl, "python": python, "fetch": fetch, "sdk": sdkStyle}

// pageServer serves an empty page of its own origin.
func pageServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!DOCTYPE html><title>page</title>")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// run runs a program and decodes the JSON that it writes.
func run(t *testing.T, into any, input any, name string, args ...string) (diagnostics string) {
	t.Helper()
	stdin, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // on which a browser is closed
	cmd.WaitDelay = 10 * time.Second
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
		t.Fatalf("%s: %v in %.200s\n%s", filepath.Base(name), err, stdout.String(), stderr.String())
	}
	return stderr.String()
}

func curl(t *testing.T, _ string, requests []request) (replies []reply) {
	path := testbed.Program(t, "curl")
	for _, r := range requests {
		// An empty value takes curl's own content-type, that of a form, away.
		args := []string{"-sS", "-X", r.Method, "-H", "content-type: " + r.Type, "-w", `%{stderr}%{http_code} %header{x-oncegate-reason}`}
		if r.Method != http.MethodGet {
			file := filepath.Join(t.TempDir(), "body")
			if err := os.WriteFile(file, bytes.Repeat([]byte("x"), r.Size), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--data-binary", "@"+file)
		}
		cmd := exec.CommandContext(t.Context(), path, append(args, r.URL)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		body, err := cmd.Output()
		if err != nil {
			t.Fatalf("curl: %v: %s", err, stderr.String())
		}
		reply := reply{Body: string(body)}
		fmt.Sscan(stderr.String(), &reply.Status, &reply.Reason)
		replies = append(replies, reply)
	}
	return replies
}

func python(t *testing.T, _ string, requests []request) (replies []reply) {
	used := run(t, &replies, requests, testbed.Program(t, "python3"), "testdata/client.py")
	t.Log(strings.TrimSpace(used))
	return replies
}

// inChromium runs a function of fetch.mjs in a page.
func inChromium(t *testing.T, into any, input any, page, function string) {
	t.Helper()
	browser := testbed.Browser(t)
	node, err := cloudfront.FindNode(root, cloudfront.Node22)
	if err != nil {
		t.Fatal(err)
	}
	run(t, into, input, node, "testdata/fetch.mjs", browser, t.TempDir(), page, function)
}

func fetch(t *testing.T, page string, requests []request) (replies []reply) {
	inChromium(t, &replies, requests, page, "requests")
	return replies
}

// sdkStyle sends what the S3 clients of AWS's SDKs send with a presigned URL: header
// names in lower case, headers of their own, and the body only when told to go on.
func sdkStyle(t *testing.T, _ string, requests []request) (replies []reply) {
	for _, r := range requests {
		u, err := url.Parse(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		head := r.Method + " " + u.RequestURI() + " HTTP/1.1\r\nhost: " + u.Host +
			"\r\nuser-agent: aws-sdk-go-v2/1.47.7 ua/2.1 os/linux lang/go#1.26 md/GOOS#linux api/s3#1.114.8\r\n" +
			"accept-encoding: identity\r\namz-sdk-invocation-id: 2b1d9bd0-5b0c-4b6e-9d7e-0a1b2c3d4e5f\r\namz-sdk-request: attempt=1; max=3\r\n"
		if r.Type != "" {
			head += "content-type: " + r.Type + "\r\n"
		}
		body := strings.Repeat("x", r.Size)
		if r.Method != http.MethodGet {
			head += fmt.Sprintf("content-length: %d\r\nexpect: 100-continue\r\nx-amz-sdk-checksum-algorithm: CRC32\r\nx-amz-checksum-crc32: AAAAAA==\r\n", r.Size)
		} else {
			body = ""
		}
		replies = append(replies, speakOnce(t, u.Host, head+"\r\n", body))
	}
	return replies
}

// speakOnce sends head, and body when it is told to go on or nothing is said about
// that, and reads the answer.
func speakOnce(t *testing.T, address, head, body string) reply {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	waits := strings.Contains(head, "expect: 100-continue")
	if !waits {
		head += body
	}
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err == nil && response.StatusCode == http.StatusContinue {
		if _, err := io.WriteString(conn, body); err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
		response, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header.Get("X-Oncegate-Reason"), string(text)}
}
