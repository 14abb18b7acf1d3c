package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"oncegate/internal/dynamo/dynamosdk"
	"oncegate/internal/onetime"
)

// bucket is the deployment's bucket, seen with the credentials of the options.
type bucket struct {
	name  string
	s3    *s3.Client
	index index
	table *dynamosdk.Client // of the index, nil if that is in the bucket
}

// callLimit bounds one request to the index.
const callLimit = 15 * time.Second

func newBucket(o Options) *bucket {
	index, table := o.openIndex()
	return &bucket{
		name:  o.Bucket,
		index: index,
		table: table,
		s3: s3.New(s3.Options{
			Region:       o.Region,
			Credentials:  o.Credentials,
			BaseEndpoint: map[bool]*string{true: aws.String(o.Endpoint)}[o.Endpoint != ""],
			UsePathStyle: o.Endpoint != "",
			// These requests are harmless to repeat, or must be refused.
			RetryMaxAttempts:           3,
			RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
			ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		}),
	}
}

// denied turns a refusal to read into a reason to skip: it says nothing about the
// deployment.
func denied(action string, err error) error {
	fault, ok := errors.AsType[*onetime.Fault](err)
	// DynamoDB refuses with 400.
	if status(err) == http.StatusForbidden || ok && fault.Err != nil && fault.Err.Error() == "AccessDeniedException" {
		return skip("these credentials may not %s", action)
	}
	return fmt.Errorf("%s: %w", action, err)
}

// status returns the status of S3's answer, 0 if there was none.
func status(err error) int {
	if fault, ok := errors.AsType[*onetime.Fault](err); ok {
		return fault.Status
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return response.HTTPStatusCode()
	}
	return 0
}

// versions counts the versions and delete markers of exactly this key.
func (b *bucket) versions(ctx context.Context, key string) (versions, markers int, err error) {
	out, err := b.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &key})
	if err != nil {
		return 0, 0, denied("s3:ListBucketVersions", err)
	}
	for _, v := range out.Versions {
		if aws.ToString(v.Key) == key {
			versions++
		}
	}
	for _, m := range out.DeleteMarkers {
		if aws.ToString(m.Key) == key {
			markers++
		}
	}
	return versions, markers, nil
}

// wantVersions checks that each key has this many versions and no delete marker.
func (b *bucket) wantVersions(ctx context.Context, n int, keys ...string) error {
	for _, key := range keys {
		versions, markers, err := b.versions(ctx, key)
		if err != nil {
			return err
		}
		if versions != n || markers != 0 {
			return want(fmt.Sprintf("%d versions of %s", n, key), "%d versions, %d delete markers", versions, markers)
		}
	}
	return nil
}

// read returns what get answers. It waits and asks again if S3 does not know yet what it
// has just stored.
func (r *run) read(ctx context.Context, get func() error) error {
	for try := 1; ; try++ {
		err := get()
		if !errors.Is(err, onetime.ErrAbsent) && status(err) != http.StatusNotFound {
			return err
		}
		if try == youngTries {
			return fmt.Errorf("%w%s", err, youngHint)
		}
		r.young++
		r.observe("404 at first, as can happen in the 15 minutes after versioning is switched on")
		if err := pause(ctx, youngPause); err != nil {
			return err
		}
	}
}

func (r *run) registered(ctx context.Context) error {
	m := r.first
	sum := sha256.Sum256([]byte(m.target))
	id := onetime.ID(hex.EncodeToString(sum[:]))
	var body []byte
	err := r.read(ctx, func() (err error) {
		body, _, err = r.bucket.index.ReadValid(ctx, callLimit, id)
		return err
	})
	if err != nil {
		return denied(r.bucket.reading(id.ValidKey()), err)
	}
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		return want("a valid entry", "%v", err)
	}
	if entry.Key != m.key || !entry.Expires.Equal(m.query.Expires()) {
		return want(fmt.Sprintf("an entry for %s until %v", m.key, m.query.Expires()), "one for %s until %v", entry.Key, entry.Expires)
	}
	return nil
}

func (r *run) spentOnce(ctx context.Context) error {
	if err := r.bucket.wantClaims(ctx, 1, r.first.id); err != nil {
		return err
	}
	return r.bucket.wantVersions(ctx, 1, r.first.key)
}

func (r *run) raceOnce(ctx context.Context) error {
	if err := r.bucket.wantVersions(ctx, 1, r.raced.key); err != nil {
		return err
	}
	if err := r.bucket.wantClaims(ctx, 1, r.raced.id); err != nil {
		return err
	}
	out, err := r.bucket.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket.name, Key: &r.raced.key})
	if err != nil {
		return denied("s3:GetObject on "+r.raced.key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(io.LimitReader(out.Body, answerBytes))
	if err != nil {
		return err
	}
	if string(body) != r.winner {
		return want("the body that was answered 200", "another one")
	}
	return nil
}

func (r *run) metadata(ctx context.Context) error {
	out, err := r.bucket.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &r.bucket.name, Key: &r.first.key})
	if err != nil {
		return denied("s3:GetObject on "+r.first.key, err)
	}
	got := map[string]*string{
		"Content-Type": out.ContentType, "Content-Disposition": out.ContentDisposition, "Content-Encoding": out.ContentEncoding,
		"Content-Language": out.ContentLanguage, "Cache-Control": out.CacheControl,
	}
	for _, h := range objectHeaders {
		if aws.ToString(got[h.name]) != h.value {
			return want(fmt.Sprintf("%s: %s on the object", strings.ToLower(h.name), h.value),
				"%q: is the header named in the origin request policy?", aws.ToString(got[h.name]))
		}
	}
	return nil
}

func (r *run) largeStored(ctx context.Context) error {
	out, err := r.bucket.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &r.bucket.name, Key: &r.large.key})
	if err != nil {
		return denied("s3:GetObject on "+r.large.key, err)
	}
	defer out.Body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, out.Body)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != r.o.LargeBytes || got != r.largeSum {
		return want(fmt.Sprintf("%d bytes, SHA-256 %s", r.o.LargeBytes, r.largeSum), "%d bytes, SHA-256 %s", n, got)
	}
	return nil
}

// brokenOff breaks an upload off as soon as the bucket shows that the gate let it through.
func (r *run) brokenOff(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	conn, err := r.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	q := request{method: "PUT", target: m.target, body: strings.NewReader(""), length: 1 << 20}
	m.spent = true
	r.requests++
	if _, err := io.WriteString(conn, q.head(r.host)+strings.Repeat("x", 64<<10)); err != nil {
		return err
	}
	for try := 0; ; try++ {
		if _, err = r.bucket.index.HeadExpired(ctx, callLimit, m.id); err == nil {
			break
		}
		if !errors.Is(err, onetime.ErrAbsent) {
			return denied(r.bucket.reading(m.id.ExpiredKey()), err)
		}
		if try == 50 {
			return want("an expired entry while the body is on its way", "none after 10 s")
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	conn.Close()
	if err := r.expect(ctx, []expectation{{put("the same PUT again", m.target, "x"), 403, "used"}}); err != nil {
		return err
	}
	return r.bucket.wantVersions(ctx, 0, m.key)
}

// failsClosed makes a valid entry unreadable, which is all of a failing index that can be
// caused from outside. Then it puts the entry back.
func (r *run) failsClosed(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	var body []byte
	err = r.read(ctx, func() (err error) {
		body, _, err = r.bucket.index.ReadValid(ctx, callLimit, m.id)
		return err
	})
	if err != nil {
		return denied(r.bucket.reading(m.id.ValidKey()), err)
	}
	restore, err := r.bucket.spoil(ctx, m.id, body)
	if err != nil {
		return denied(r.bucket.writing(m.id.ValidKey()), err)
	}
	// Only once: this refusal is the one to see.
	a, err := r.send(ctx, put("a PUT with an unreadable index", m.target, "x"))
	if restored := restore(); err == nil {
		err = restored
	}
	if err != nil {
		return err
	}
	if !a.is(503, "index-unavailable") {
		m.spent = true // perhaps
		return want("503 index-unavailable", "%v", a)
	}
	r.survives("fails-closed", m)
	return nil
}

// revoked revokes a URL as an operator does.
func (r *run) revoked(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	nonce := make([]byte, 16)
	rand.Read(nonce) // never fails (crypto/rand)
	entry := onetime.ExpiredEntry{Version: 1, Reason: onetime.Revoked, At: time.Now().UTC().Truncate(time.Second), Nonce: hex.EncodeToString(nonce), Request: "oncegate verify"}
	if _, err := r.bucket.index.Claim(ctx, callLimit, m.id, onetime.Revoked, entry.Marshal()); err != nil {
		return denied(r.bucket.writing(m.id.ExpiredKey()), err)
	}
	m.spent = true
	if err := r.expect(ctx, []expectation{{put("a PUT of a revoked URL", m.target, "x"), 403, "revoked"}}); err != nil {
		return err
	}
	return r.bucket.wantVersions(ctx, 0, m.key)
}

func (r *run) unspentIndex(ctx context.Context) error {
	if len(r.refused) == 0 {
		return skip("no line above has left a URL to look at")
	}
	for _, t := range r.refused {
		err := r.bucket.wantClaims(ctx, 0, t.m.id)
		if err == nil {
			err = r.bucket.wantVersions(ctx, 0, t.m.key)
		}
		if err != nil {
			if wrong, ok := errors.AsType[*mismatch](err); ok {
				wrong.got += " after what " + t.line + " did"
			}
			return err
		}
	}
	r.observe("%d URLs", len(r.refused))
	return nil
}

func (r *run) versioning(ctx context.Context) error {
	out, err := r.bucket.s3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &r.bucket.name})
	if err != nil {
		return denied("s3:GetBucketVersioning", err)
	}
	enabled := out.Status == types.BucketVersioningStatusEnabled
	switch {
	case r.o.Versioned == nil && r.o.inTable():
		return skip("with the index in a table it need not be, and there are no settings that say what it is to be; it is %q", out.Status)
	case r.o.unversioned() && enabled:
		return want("Suspended, or never enabled: the settings have versioned false", "%q", out.Status)
	case !r.o.unversioned() && !enabled:
		return want("Enabled", "%q", out.Status)
	}
	if r.young > 0 {
		r.observe("but S3 answered 404 for what it had just stored, %d times: AWS says to wait 15 minutes after switching it on", r.young)
	}
	return nil
}

func (r *run) indexUndeletable(ctx context.Context) error {
	if err := r.bucket.inTable(); err != nil {
		return err
	}
	key := r.first.id.ExpiredKey()
	_, err := r.bucket.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket.name, Key: &key})
	if err == nil {
		r.observe("left a delete marker on %s", key)
	}
	return r.mustDeny(err)
}

// claimsConditional writes an existing expired entry again, with the same bytes.
func (r *run) claimsConditional(ctx context.Context) error {
	if err := r.bucket.inTable(); err != nil {
		return err
	}
	id := r.raced.id
	body, _, err := r.bucket.index.ReadExpired(ctx, callLimit, id)
	if err != nil {
		return denied("s3:GetObject on "+id.ExpiredKey(), err)
	}
	_, err = r.bucket.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &r.bucket.name, Key: aws.String(id.ExpiredKey()), Body: bytes.NewReader(body),
		ContentType: aws.String("application/json"), Metadata: map[string]string{"oncegate-reason": string(onetime.Used)},
	})
	if err == nil {
		r.observe("left a second version of %s", id.ExpiredKey())
	}
	return r.mustDeny(err)
}

// mustDeny returns nil if the bucket policy refused. S3's message says who did.
func (r *run) mustDeny(err error) error {
	const expected = "403 AccessDenied by the bucket policy, for every principal"
	switch {
	case err == nil:
		return want(expected, "it was done")
	case status(err) != http.StatusForbidden:
		return fmt.Errorf("s3: %w", err)
	}
	if !strings.Contains(err.Error(), "explicit deny") {
		r.observe("S3 does not say by what; credentials that may do it anyway would make this certain")
	}
	return nil
}

// writeOnce stores an object where a fresh URL will write, so that S3 has something to
// refuse.
func (r *run) writeOnce(ctx context.Context) error {
	if !r.o.WriteOnce {
		return skip("writeOnce is off, or no config.json says that it is on")
	}
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	_, err = r.bucket.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.bucket.name, Key: &m.key, Body: strings.NewReader("here first")})
	if err != nil {
		return denied("s3:PutObject on "+m.key, err)
	}
	a, err := r.upload(ctx, m, "too late")
	m.stored = true
	if err != nil {
		return err
	}
	if a.status != 412 || a.reason() != "" {
		return want("412 by S3", "%v: is if-none-match named in the origin request policy?", a)
	}
	return r.bucket.wantVersions(ctx, 1, m.key)
}
