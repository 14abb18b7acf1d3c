package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"oncegate/internal/client"
)

// Way is how a file is sent.
type Way int

// Every way.
const (
	BySize  Way = iota // in parts if it is over 8 MiB
	InParts            // an empty file is one PUT all the same
	Whole              // in one PUT, which holds at most 5 GiB
)

const largestWhole = 8 << 20

// Upload says how to upload. The zero value is good for most.
type Upload struct {
	Type      string // content type, if the URL names none
	Way       Way
	PartBytes int64 // size of a part; 0 for 8 MiB. It is more if there would be too many parts
	Parallel  int   // parts that are sent at a time; 0 for 3
	// Sent, if set, is called with the number of bytes that are sent so far. It is less than before
	// when a part is sent again. The calls come one at a time, and none after the upload's end.
	Sent func(n int64)
	// Waits, if set, is called before each wait of an upload in parts, because something went wrong that may
	// pass or S3 is still making the object. The calls may come from several goroutines at once.
	Waits func(d time.Duration)
}

// Stored is an upload that S3 has stored.
type Stored struct {
	Size    int64
	ETag    string // without quotes
	Version string // "" after an upload in parts
	Parts   int    // how many it was made of; 0 after one PUT
}

// UploadFile uploads the file of this name. Its content type is guessed from the name, if neither
// the URL nor u names one.
func UploadFile(ctx context.Context, to URL, name string, u Upload) (Stored, error) {
	file, err := os.Open(name)
	if err != nil {
		return Stored{}, unreadable(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return Stored{}, unreadable(err)
	}
	if !before.Mode().IsRegular() {
		return Stored{}, unreadable(fmt.Errorf("%s is no file", name))
	}
	if u.Type == "" {
		u.Type = mime.TypeByExtension(filepath.Ext(name))
	}
	return u.upload(ctx, to, file, before.Size(), func() error {
		now, err := os.Stat(name)
		if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
			err = errors.New("the file changed while it was sent")
		}
		return err
	})
}

// UploadBody uploads size bytes of a body, which is read twice, and by several goroutines at once.
func UploadBody(ctx context.Context, to URL, body io.ReaderAt, size int64, u Upload) (Stored, error) {
	return u.upload(ctx, to, body, size, nil)
}

func (u Upload) upload(ctx context.Context, to URL, body io.ReaderAt, size int64, unchanged func() error) (Stored, error) {
	header := map[string]string{}
	if u.Type != "" {
		header["content-type"] = u.Type // that of the URL takes its place
	}
	read := &noted{ReaderAt: body}
	var stored client.Stored
	var err error
	if size > 0 && (u.Way == InParts || u.Way == BySize && size > largestWhole) {
		stored, err = client.PutParts(ctx, client.Parts{
			URL: to.inner(), Body: read, Size: size, Header: header, PartBytes: u.PartBytes, Parallel: u.Parallel, Sent: u.Sent, Sleep: u.sleep,
			Unchanged: func() error {
				if unchanged == nil {
					return nil
				}
				err := unchanged()
				if err != nil {
					read.failed.Store(true)
				}
				return err
			},
		})
	} else {
		stored, err = client.Put(ctx, client.Upload{URL: to.inner(), Body: io.NewSectionReader(read, 0, size), Size: size, Header: header, Sent: u.Sent})
	}
	if err != nil {
		err = failed(err)
		if e, ok := errors.AsType[*Error](err); ok && e.Status == 0 && read.failed.Load() {
			e.Reason = "file"
		}
		return Stored{}, err
	}
	return Stored{Size: stored.Size, ETag: stored.ETag, Version: stored.Version, Parts: stored.Parts}, nil
}

func (u Upload) sleep(ctx context.Context, d time.Duration) error {
	if u.Waits != nil {
		u.Waits(d)
	}
	return client.Sleep(ctx, d)
}

func unreadable(err error) error { return &Error{Reason: "file", Fate: Good, err: err} }

// noted notes whether a body could not be read.
type noted struct {
	io.ReaderAt
	failed atomic.Bool
}

// ReadAt implements io.ReaderAt.
func (n *noted) ReadAt(p []byte, at int64) (int, error) {
	read, err := n.ReaderAt.ReadAt(p, at)
	if err != nil && read < len(p) {
		n.failed.Store(true)
	}
	return read, err
}
