//go:build linux

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDev runs oncegate dev until the test ends, and returns what it printed.
func startDev(t *testing.T, args ...string) *syncBuffer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, ended := newSyncBuffer(), make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"dev"}, args...), stdout, newSyncBuffer()) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	stdout.waitFor(t, "Ctrl-C stops everything.\n", ended)
	return stdout
}

// freePort is a port that was free a moment ago. It is none that the kernel gives to whoever
// asks for any, so another test does not take it meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// A second oncegate dev names the first one and leaves what is its alone: by the same
// data, by the port of the edge, and by that of S3.
func TestSecondDev(t *testing.T) {
	t.Chdir(root)
	template, _ := assembly(t, nil)
	data := filepath.Join(t.TempDir(), "dev")
	startDev(t, "--template", template, "--data", data, "--port", "0", "--s3-port", "0")
	text, err := os.ReadFile(filepath.Join(data, "env"))
	if err != nil {
		t.Fatal(err)
	}
	env := readEnv(t, filepath.Join(data, "env"))
	_, port, _ := strings.Cut(strings.TrimPrefix(env["ONCEGATE_URL"], "http://"), ":")
	_, s3Port, _ := strings.Cut(strings.TrimPrefix(env["AWS_ENDPOINT_URL_S3"], "http://"), ":")
	for _, tt := range []struct{ data, port, s3Port, want string }{
		{data, "0", "0", env["ONCEGATE_URL"] + "; use that one or stop it"},
		{t.TempDir(), port, "0", "port " + port + " is taken by another oncegate: choose another one with PORT="},
		{t.TempDir(), "0", s3Port, "port " + s3Port + " is taken by the S3 server of another oncegate: choose another one for S3 with S3_PORT="},
	} {
		_, err := runVerb(t, "dev", "--template", template, "--data", tt.data, "--port", tt.port, "--s3-port", tt.s3Port)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
	if now, err := os.ReadFile(filepath.Join(data, "env")); err != nil || string(now) != string(text) {
		t.Errorf("env is another's now: %v", err)
	}
	request(t, "GET", env["ONCEGATE_URL"]+"/url", 200)
}

// Who polls the port has the file when he gets an answer, and the file is of this run.
func TestEnvIsThereBeforeTheFirstAnswer(t *testing.T) {
	t.Chdir(root)
	template, _ := assembly(t, nil)
	data, port := filepath.Join(t.TempDir(), "dev"), freePort(t)
	if err := writePrivate(envPath(data), []byte("export ONCEGATE_URL='of an earlier run'\n")); err != nil {
		t.Fatal(err)
	}
	found := make(chan error, 1)
	go func() {
		for t.Context().Err() == nil {
			res, err := http.Get("http://127.0.0.1:" + port + "/url")
			if err != nil {
				time.Sleep(time.Millisecond) // a connection is refused at once
				continue
			}
			res.Body.Close()
			text, err := os.ReadFile(envPath(data))
			if err == nil && !strings.Contains(string(text), ":"+port) {
				err = errors.New("env is of another run: " + string(text))
			}
			found <- err
			return
		}
	}()
	startDev(t, "--template", template, "--data", data, "--port", port, "--s3-port", "0")
	if err := <-found; err != nil {
		t.Error(err)
	}
}

// TestDevHost: only names of this machine and those of --host are answered, and minted URLs
// begin with them.
func TestDevHost(t *testing.T) {
	t.Chdir(root)
	template, _ := assembly(t, nil)
	data := filepath.Join(t.TempDir(), "dev")
	startDev(t, "--template", template, "--data", data, "--port", "0", "--s3-port", "0", "--host", "phone.example", "--host", "192.0.2.7")
	env := readEnv(t, envPath(data))
	for _, tt := range []struct {
		host string
		want int
	}{
		{"localhost", 200}, {"phone.example:8080", 200}, {"192.0.2.7", 200}, {"rebind.example", 421}, {"192.0.2.8", 421},
	} {
		req, err := http.NewRequest("GET", env["ONCEGATE_URL"]+"/url", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != tt.want || strings.HasPrefix(string(body), "http://"+tt.host+"/uploads/") != (tt.want == 200) {
			t.Errorf("host %s: %d %s, want %d", tt.host, res.StatusCode, body, tt.want)
		}
	}
}

// TestDevSaysWhatIsWrong with the machine, in one sentence that says what to do.
func TestDevSaysWhatIsWrong(t *testing.T) {
	t.Chdir(root)
	template, _ := assembly(t, nil)
	dev := func(data string) error {
		_, err := runVerb(t, "dev", "--template", template, "--data", data, "--port", "0", "--s3-port", "0")
		return err
	}
	mount := func(kind, options string, flags uintptr) func(*testing.T) string {
		return func(t *testing.T) string {
			dir := t.TempDir()
			if err := syscall.Mount(kind, dir, kind, flags, options); errors.Is(err, fs.ErrPermission) {
				t.Skip("only root may mount")
			} else if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Unmount(dir, 0) })
			return dir
		}
	}
	for _, tt := range []struct {
		name string
		data func(*testing.T) string
		want []string
	}{
		{"no extended attributes", mount("ramfs", "", 0), []string{"no extended attributes", "bin/oncegate dev --data DIR"}},
		{"no space", mount("tmpfs", "size=256k", 0), []string{"the disk is full", "make room", "--data DIR"}},
		{"read-only", mount("tmpfs", "", syscall.MS_RDONLY), []string{"cannot be written (read-only file system)", "--data DIR"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := dev(tt.data(t))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
	t.Run("no place for sockets", func(t *testing.T) {
		t.Setenv("TMPDIR", mount("tmpfs", "", syscall.MS_RDONLY)(t))
		if err := dev(filepath.Join(filepath.Dir(template), "dev")); err == nil || !strings.Contains(err.Error(), "name another directory in TMPDIR") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an old Node", func(t *testing.T) {
		build, err := filepath.Abs("build")
		if err != nil {
			t.Fatal(err)
		}
		data := t.TempDir()
		t.Chdir(t.TempDir())
		arch := runtime.GOARCH
		if arch == "amd64" {
			arch = "x64"
		}
		bin := filepath.Join("node_modules", "node22-linux-"+arch, "bin")
		if err := errors.Join(os.Symlink(build, "build"), os.MkdirAll(bin, 0o700),
			os.WriteFile(filepath.Join(bin, "node"), []byte("#!/bin/sh\necho v18.20.4\n"), 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := dev(data); err == nil || !strings.Contains(err.Error(), "is version 18: run `npm ci`") {
			t.Errorf("got %v", err)
		}
	})
}
