package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"
	"time"

	"oncegate/internal/local/cloudfront"
	"oncegate/internal/local/s3server"
)

// explain makes an error of the start one sentence that says what to do. What it does
// not know stays as it is.
func (o devOptions) explain(err error) error {
	elsewhere := "keep the bucket elsewhere with `bin/oncegate dev --data DIR`"
	pathError, _ := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, cloudfront.ErrPortBusy):
		return fmt.Errorf("port %d is taken by %s: choose another one with PORT=%d", o.port, occupant(o.port), o.port+1)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is taken by %s: choose another one for S3 with S3_PORT=%d", o.s3Port, occupant(o.s3Port), o.s3Port+1)
	case errors.Is(err, s3server.ErrNoBinary):
		return fmt.Errorf("%w, or name one with --s3-server PATH", err)
	case errors.Is(err, cloudfront.ErrNoNode):
		return fmt.Errorf("%w, or name one with --node PATH", err)
	case errors.Is(err, s3server.ErrNoAttributes):
		return fmt.Errorf("%w: %s", err, elsewhere)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk is full (%w): make room, or %s", err, elsewhere)
	case pathError != nil && (errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)):
		if !strings.Contains(pathError.Path, o.data) {
			elsewhere = "name another directory in TMPDIR"
		}
		return fmt.Errorf("%s cannot be written (%w): make it writable, or %s", pathError.Path, pathError.Err, elsewhere)
	}
	return err
}

// occupant says what answers on a port of this machine.
func occupant(port int) string {
	client := &http.Client{
		Timeout:       time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Get("http://" + address(port) + "/")
	if err != nil {
		return "another program"
	}
	res.Body.Close()
	switch {
	case res.Header.Get("X-Oncegate-Reason") != "":
		return "another oncegate"
	case strings.Contains(strings.ToLower(res.Header.Get("Server")), "versitygw"):
		return "the S3 server of another oncegate"
	}
	return "another program"
}
