package client

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/crc64nvme"

	"oncegate/internal/onetime"
)

// Parts is a file to be sent in parts; see docs/multipart.md.
type Parts struct {
	URL       URL
	Body      io.ReaderAt // is read twice, and by several goroutines at once
	Size      int64       // of all of Body, over 0: S3 makes no object of no parts
	Header    map[string]string
	PartBytes int64 // size of a part; 0 for 8 MiB. An upload under way keeps its own
	Parallel  int   // parts sent at a time; 0 for 3
	// Unchanged, if set, is called before complete. Its error ends the upload: nothing is
	// spent then.
	Unchanged func() error
	// Sent, if set, is called with the number of bytes that are sent so far. It is less
	// than before when a part is sent again. The calls come one at a time, and none comes
	// after PutParts has returned.
	Sent func(n int64)
	// Sleep waits between two tries; nil for a real wait.
	Sleep func(ctx context.Context, d time.Duration) error
}

const (
	mib         = 1 << 20
	usualPart   = 8 * mib
	rounds      = 3   // of sending what complete says is missing
	mostWaiting = 600 // answers that S3 is still making the object
)

// partsPlan is the answer to the start.
type partsPlan struct {
	PartBytes int64 `json:"partBytes"`
	MaxParts  int64 `json:"maxParts"`
	MaxBytes  int64 `json:"maxBytes"` // 0: not said
}

type listedPart struct {
	Number int64  `json:"number"`
	Size   int64  `json:"size"`
	ETag   string `json:"etag"`
}

// sending is one run of PutParts.
type sending struct {
	Parts
	conn   http.RoundTripper
	listed map[int64]listedPart
	bytes  int64       // of one part
	etags  []string    // "" for what is not there yet
	crcs   []uint64    // of each part
	opaque atomic.Bool // S3 has taken a part whose ETag is not its MD5: the bucket encrypts with a key of KMS

	mu    sync.Mutex
	sent  []int64 // of each part
	total int64
	over  bool
}

// PutParts uploads in parts, and goes on where an earlier call with the same URL broke
// off: a part that S3 has is not sent again if its MD5 is that of the file. In a bucket that
// encrypts with a key of KMS nobody knows the MD5s of what is there, and all is sent again. S3 checks the
// MD5 of each part, and complete names the parts, so no other object than Body is made. What
// S3 gives as the CRC-64/NVME of the object is compared too.
// Every request may be repeated, for none spends twice. The error is a *Refusal, an
// *UploadError or ErrAltered. Stored has no SHA256
// and no Version.
func PutParts(ctx context.Context, p Parts) (Stored, error) {
	if p.Size <= 0 {
		return Stored{}, errEmpty
	}
	s := &sending{Parts: p, conn: transport()}
	defer s.end()
	plan, err := s.start(ctx)
	if err != nil {
		return Stored{}, err
	}
	if plan.MaxBytes > 0 && p.Size > plan.MaxBytes || (p.Size-1)/plan.PartBytes >= plan.MaxParts {
		return Stored{}, tooLarge(plan)
	}
	s.bytes = s.partBytes(plan)
	count := (p.Size-1)/s.bytes + 1
	s.etags, s.crcs, s.sent = make([]string, count), make([]uint64, count), make([]int64, count)
	for round := 1; ; round++ {
		if err := s.all(ctx); err != nil {
			return Stored{}, err
		}
		if p.Unchanged != nil {
			if err := p.Unchanged(); err != nil {
				return Stored{}, &UploadError{Fate: Good, Sent: p.Size, Err: err}
			}
		}
		stored, err := s.complete(ctx)
		refusal, ok := errors.AsType[*Refusal](err)
		if !ok || refusal.Reason != onetime.Incomplete || round == rounds {
			return stored, err
		}
		// S3 has other parts: of somebody else with the same URL, or of an older file.
		if err := s.list(ctx); err != nil {
			return Stored{}, err
		}
		clear(s.etags)
	}
}

// GiveUp drops the parts of an upload and revokes its URL. The error is a *Refusal or an
// *UploadError.
func GiveUp(ctx context.Context, u URL) error {
	s := &sending{Parts: Parts{URL: u}, conn: transport()}
	_, err := s.ask(ctx, step{method: http.MethodDelete, spends: true}, nil)
	return err
}

// tooLarge refuses what complete would refuse, before it is sent.
func tooLarge(plan partsPlan) error {
	most := plan.MaxBytes
	if most == 0 {
		most = plan.PartBytes * plan.MaxParts
	}
	return &Refusal{Reason: onetime.TooLarge, Message: fmt.Sprintf("this URL takes at most %d bytes", most)}
}

var errEmpty = &UploadError{Fate: Good, Err: errors.New("an empty file has no parts")}

// start starts the upload, or finds it under way or done, and lists what is there.
func (s *sending) start(ctx context.Context) (partsPlan, error) {
	var plan partsPlan
	header := http.Header{}
	for _, from := range []map[string]string{s.Header, s.URL.Header} {
		for name, value := range from {
			header.Set(name, value)
		}
	}
	_, err := s.ask(ctx, step{method: http.MethodPost, query: "&uploads", header: header}, &plan)
	if refusal, ok := errors.AsType[*Refusal](err); ok && refusal.Reason == onetime.Used {
		// The answer of complete may have got lost. Then list and complete go on answering.
		if s.list(ctx) != nil {
			return plan, err
		}
		return partsPlan{PartBytes: onetime.MaxBytes, MaxParts: onetime.MaxParts}, nil
	}
	if err == nil && (plan.PartBytes <= 0 || plan.MaxParts <= 0 || plan.MaxParts > onetime.MaxParts) {
		err = &UploadError{Fate: Good, Err: errors.New("the answer to the start names no size or number of parts, so it is not oncegate's")}
	}
	if err != nil {
		return plan, err
	}
	return plan, s.list(ctx)
}

// list asks which parts S3 has, page by page.
func (s *sending) list(ctx context.Context) error {
	listed := map[int64]listedPart{}
	for after := int64(0); ; {
		query := "&parts"
		if after > 0 {
			query += fmt.Sprintf("&after=%d", after)
		}
		var page struct {
			Parts []listedPart `json:"parts"`
			Next  int64        `json:"next"`
		}
		if _, err := s.ask(ctx, step{method: http.MethodGet, query: query}, &page); err != nil {
			return err
		}
		for _, part := range page.Parts {
			part.ETag = strings.Trim(part.ETag, `"`)
			listed[part.Number] = part
		}
		if page.Next <= after { // 0 on the last page
			s.listed = listed
			return nil
		}
		after = page.Next
	}
}

// partBytes returns the size of all parts but the last. An upload under way keeps its own, by
// whichever parts are there: with larger ones, those of high numbers would be left over. A new
// one gets the size that was asked for, or a larger one if there would be too many parts.
func (s *sending) partBytes(plan partsPlan) int64 {
	least := ((s.Size-1)/plan.MaxParts/mib + 1) * mib
	own := int64(0)
	for _, part := range s.listed {
		if part.Size >= max(least, onetime.MinPartBytes) && part.Size < s.Size {
			own = max(own, part.Size) // the last one is smaller
		}
	}
	if own > 0 {
		return own
	}
	return min(max(cmp.Or(s.PartBytes, usualPart), onetime.MinPartBytes, least), plan.PartBytes)
}

// all sends what is not there, several parts at a time. The first failure stops the rest.
func (s *sending) all(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(s.width(), len(s.etags)) {
		workers.Go(func() {
			for i := range next {
				from := int64(i) * s.bytes
				if err := s.part(ctx, i, s.Body, from, min(s.bytes, s.Size-from)); err != nil {
					stop(err) // the first one counts
				}
			}
		})
	}
	for i := range s.etags {
		if ctx.Err() != nil {
			break
		}
		if s.etags[i] == "" {
			next <- i
		}
	}
	close(next)
	workers.Wait()
	return stopped(ctx)
}

// width is how many parts are sent at a time.
func (s *sending) width() int {
	if s.Parallel <= 0 {
		return 3
	}
	return s.Parallel
}

// stopped returns why the parts were not all sent, or nil.
func stopped(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &UploadError{Fate: Good, Err: err}
	}
	return err
}

// part sends one part, unless S3 has it.
func (s *sending) part(ctx context.Context, i int, content io.ReaderAt, from, size int64) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sum, crc := md5.New(), crc64nvme.New()
	if n, err := io.Copy(io.MultiWriter(sum, crc), io.NewSectionReader(content, from, size)); err != nil || n != size {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return &UploadError{Fate: Good, Err: fmt.Errorf("the file cannot be read, or it changed: %w", err)}
	}
	digest := sum.Sum(nil)
	s.crcs[i] = crc.Sum64()
	if there := s.listed[int64(i+1)]; there.Size == size && there.ETag == hex.EncodeToString(digest) {
		s.etags[i] = there.ETag
		s.tell(i, size)
		return nil
	}
	header := http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(digest)}} // S3 checks it
	got, err := s.ask(ctx, step{
		method: http.MethodPut, query: fmt.Sprintf("&partNumber=%d", i+1), header: header, size: size,
		body: func() *body { return newBody(io.NewSectionReader(content, from, size), func(n int64) { s.tell(i, n) }) },
	}, nil)
	if err != nil {
		return err
	}
	etag := strings.Trim(got.Get("Etag"), `"`)
	if !anyETag.MatchString(etag) {
		return &UploadError{Fate: Good, Err: errors.New("the answer to a part is 200 without an ETag of S3's form")}
	}
	if etag != hex.EncodeToString(digest) { // which S3 has checked
		s.opaque.Store(true)
	}
	s.etags[i] = etag
	s.tell(i, size)
	return nil
}

// named is what names the parts that are meant: the MD5 of their ETags, which is the object's ETag
// if theirs are MD5s.
func (s *sending) named() string {
	sum := md5.New()
	for _, etag := range s.etags {
		if b, err := hex.DecodeString(etag); err == nil && len(b) == md5.Size {
			sum.Write(b)
		} else {
			io.WriteString(sum, etag)
		}
	}
	return fmt.Sprintf("%x-%d", sum.Sum(nil), len(s.etags))
}

// complete makes the object of the parts that are meant.
func (s *sending) complete(ctx context.Context) (Stored, error) {
	named := s.named()
	for range mostWaiting {
		var done struct {
			Stored    bool   `json:"stored"`
			Size      int64  `json:"size"`
			ETag      string `json:"etag"`
			CRC64NVME string `json:"crc64nvme"`
		}
		header, err := s.ask(ctx, step{method: http.MethodPost, query: "&complete&etag=" + named, spends: true}, &done)
		if err != nil {
			return Stored{}, err
		}
		if done.Stored {
			return s.stored(named, strings.Trim(done.ETag, `"`), done.Size, done.CRC64NVME)
		}
		if err := s.sleep(ctx, seconds(header.Get("Retry-After"))); err != nil {
			return Stored{}, &UploadError{Unknown, s.Size, err}
		}
	}
	return Stored{}, &UploadError{Unknown, s.Size, errors.New("S3 is still making the object of the parts")}
}

// stored compares the object that S3 has made with what was sent.
func (s *sending) stored(named, etag string, size int64, crc string) (Stored, error) {
	opaque := s.opaque.Load()
	if size != s.Size || !opaque && etag != named || crc != "" && crc != s.crc() {
		return Stored{}, ErrAltered
	}
	done := Stored{Size: s.Size, ETag: readable(etag, 100), Parts: len(s.etags), CRC64NVME: crc}
	if opaque && crc == "" {
		done.Unverified = "the bucket's ETags are no MD5s (KMS), and S3 gave no CRC-64/NVME; it has checked the MD5 of each part"
	}
	return done, nil
}

// crc is the CRC-64/NVME of all parts, as S3 writes it.
func (s *sending) crc() string {
	all, left := uint64(0), s.Size
	for _, crc := range s.crcs {
		size := min(s.bytes, left)
		all = joinCRC(all, crc, size)
		left -= size
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, all))
}

// tell counts n bytes of a part as sent.
func (s *sending) tell(i int, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.total += n - s.sent[i]
	s.sent[i] = n
	if s.Sent != nil {
		s.Sent(s.total)
	}
}

func (s *sending) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
