package acceptance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of a copy in parts.
const (
	// OneCopy is the largest object that one copy can make, 5 GiB. What is larger is
	// copied in parts:
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
	OneCopy = 5 << 30

	// PartBytes is the size of all parts but the last, and MaxParts the most that there
	// are: one page of ListParts.
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
	PartBytes = 512 << 20
	MaxParts  = 1000

	// AtOnce is how many parts are copied at the same time. The copy is made within S3.
	AtOnce = 16

	// MaxBytes is the largest upload that is accepted, 500 GiB. S3 gives 85 to 90 MB/s to
	// one request that reads, says
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html
	// If a copy is as fast, a call of 300 s copies 16 x 85 MB/s x 297 s = 404 GB, and the
	// largest upload takes two calls. There are five, for a slower S3.
	MaxBytes = MaxParts * PartBytes
)

// copying begins the value of Tag on a version that is being copied in parts. What
// follows is the id of the multipart upload at the destination. So the upload belongs to
// this version, whatever another call takes for the first one.
const copying = "copying:"

// Part is one part of a copy.
type Part struct {
	Number int
	Size   int64
	ETag   string // as S3 writes it
}

// ErrUnfinished is the error for a copy that could not be made within the time of the
// call. What was copied stays, and the next call goes on.
var ErrUnfinished = errors.New("the copy goes on with the next delivery")

// upload returns the multipart upload that a version's tags name, or "".
func upload(tags map[string]string) string {
	id, _ := strings.CutPrefix(tags[Tag], copying)
	if id == tags[Tag] {
		return ""
	}
	return id
}

// withTag returns the tags with Tag, whatever its value was.
func withTag(tags map[string]string, value string) map[string]string {
	all := withoutTag(tags)
	all[Tag] = value
	return all
}

// withoutTag returns the tags without Tag: those that the minter has given, or others.
func withoutTag(tags map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range tags {
		if name != Tag {
			all[name] = value
		}
	}
	return all
}

// copyInParts makes the accepted object of a version that is too large for one copy, and
// goes on where a call before has stopped. The tags are the version's. ErrExists: there
// is an accepted object; what was copied besides is dropped. ErrUnfinished: the time of
// the call is over.
func (a *Acceptor) copyInParts(ctx context.Context, source Object, tags map[string]string, to string) error {
	id, have, err := a.begun(ctx, source, tags, to)
	if err != nil {
		return err
	}
	parts, err := a.copyParts(ctx, source, to, id, have)
	if err == nil {
		// A consumer may have deleted what another call has accepted meanwhile, and S3's
		// condition passes over a delete marker.
		err = a.vacant(ctx, to)
	}
	if err == nil {
		err = a.Store.CompleteCopy(ctx, source, to, id, parts)
	}
	if errors.Is(err, ErrAbsent) {
		// Another call has completed the same upload, or the version is gone.
		if why := a.vacant(ctx, to); why != nil {
			return why
		}
	}
	if errors.Is(err, ErrExists) {
		if err := a.drop(ctx, to, id); err != nil {
			return err
		}
	}
	return err
}

// vacant returns nil if nothing was accepted, and ErrExists if something was.
func (a *Acceptor) vacant(ctx context.Context, to string) error {
	_, err := a.accepted(ctx, to)
	switch {
	case err == nil:
		return ErrExists
	case errors.Is(err, ErrAbsent):
		return nil
	}
	return err
}

// begun returns the upload that the tags name, with its parts, or a new one that the
// tags name from now on. ErrExists: it is complete already.
func (a *Acceptor) begun(ctx context.Context, source Object, tags map[string]string, to string) (id string, have []Part, err error) {
	if id = upload(tags); id != "" {
		have, err = a.Store.CopiedParts(ctx, to, id)
		if !errors.Is(err, ErrAbsent) {
			return id, have, err
		}
		// It was completed since this call has looked, or it was dropped.
		if err := a.vacant(ctx, to); err != nil {
			return "", nil, err
		}
	}
	if id, err = a.Store.BeginCopy(ctx, source, to); err != nil {
		return "", nil, err
	}
	// Two calls that begin at the same time have an upload each. Both are of this
	// version, and the condition of CompleteCopy decides.
	if err := a.Store.SetTags(ctx, source.Key, source.Version, withTag(tags, copying+id)); err != nil {
		return "", nil, errors.Join(err, a.drop(ctx, to, id))
	}
	return id, nil, nil
}

// copyParts copies what is missing, AtOnce parts at the same time, and returns all parts
// in their order. After an error it begins no other part.
func (a *Acceptor) copyParts(ctx context.Context, source Object, to, id string, have []Part) ([]Part, error) {
	size := cmp.Or(a.PartBytes, PartBytes)
	parts := make([]Part, (source.Size+size-1)/size)
	length := func(i int) int64 { return min(size, source.Size-int64(i)*size) }
	for _, p := range have {
		if i := p.Number - 1; i >= 0 && i < len(parts) && p.Size == length(i) {
			parts[i] = p
		}
	}
	var missing []int
	for i, p := range parts {
		if p.Number == 0 {
			missing = append(missing, i)
		}
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	follow := func() {
		for failed.Load() == nil && ctx.Err() == nil {
			n := int(next.Add(1)) - 1
			if n >= len(missing) {
				return
			}
			i := missing[n]
			part, err := a.Store.CopyPart(ctx, source, to, id, i+1, int64(i)*size, length(i))
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			parts[i] = part
		}
	}
	var work sync.WaitGroup
	for range min(cmp.Or(a.AtOnce, AtOnce), len(missing)) - 1 {
		work.Go(follow)
	}
	follow()
	work.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnfinished, ctx.Err())
	}
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return parts, nil
}

// drop drops an upload and its parts.
func (a *Acceptor) drop(ctx context.Context, to, id string) error {
	if err := a.Store.DropCopy(ctx, to, id); err != nil && !errors.Is(err, ErrAbsent) {
		return fmt.Errorf("drop an upload to %s: %w", to, err)
	}
	return nil
}
