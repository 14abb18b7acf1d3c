//go:build !js

package s3index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/invite"
	"oncegate/internal/lean/sigv4"
	"oncegate/internal/lean/wire"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/indextest"
	"oncegate/internal/s3index"
	"oncegate/internal/s3sdk"
	"oncegate/internal/s3wire"
)

// The two clients must be one: whatever is in a subtest here is asserted of both,
// against a real S3 server that verifies SigV4.

type client interface {
	s3index.PartBucket
	onetime.PartPresigner
}

// sender is wire.Sender over net/http; at the edge Node does this.
type sender struct {
	scheme, host string
	dial         string // address to connect to, host when empty
}

func (s sender) Send(ctx context.Context, limit time.Duration, method, target string, headers []wire.Header, body []byte) (wire.Reply, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	address := s.host
	if s.dial != "" {
		address = s.dial
	}
	request, err := http.NewRequestWithContext(ctx, method, s.scheme+"://"+address+target, bytes.NewReader(body))
	if err != nil {
		return wire.Reply{}, err
	}
	for _, h := range headers {
		request.Header.Add(h.Name, h.Value)
	}
	request.Host = s.host
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return wire.Reply{}, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return wire.Reply{}, err
	}
	reply := wire.Reply{Status: response.StatusCode, Body: answer}
	for name, values := range response.Header {
		for _, value := range values {
			reply.Headers = append(reply.Headers, wire.Header{Name: strings.ToLower(name), Value: value})
		}
	}
	return reply, nil
}

func wireClient(t *testing.T, endpointURL string, key aws.Credentials) *s3wire.Client {
	t.Helper()
	endpoint, err := s3wire.NewEndpoint(s3servertest.Bucket, s3servertest.Region, endpointURL)
	if err != nil {
		t.Fatal(err)
	}
	return s3wire.New(s3servertest.Bucket, s3servertest.Region, endpoint, wireKey(key), sender{scheme: endpoint.Scheme, host: endpoint.Host}, time.Now)
}

func wireKey(key aws.Credentials) sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken}
}

func sdkClient(endpointURL string, key aws.Credentials) *s3sdk.Client {
	return s3sdk.New(s3servertest.Bucket, s3servertest.Region, endpointURL,
		credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken))
}

var testKey = aws.Credentials{AccessKeyID: s3servertest.AccessKey, SecretAccessKey: s3servertest.SecretKey}

// both runs a subtest with each client of one server. fault, when set, is asked
// about each request.
func both(t *testing.T, run func(t *testing.T, c client, server *s3server.Server, fault *atomic.Pointer[s3server.Fault])) {
	var fault atomic.Pointer[s3server.Fault]
	server := s3servertest.New(t, func(o *s3server.Options) {
		o.Fault = func(*http.Request) s3server.Fault {
			if f := fault.Load(); f != nil {
				return *f
			}
			return s3server.Fault{}
		}
	})
	for name, c := range map[string]client{
		"wire": wireClient(t, server.URL(), testKey),
		"sdk":  sdkClient(server.URL(), testKey),
	} {
		t.Run(name, func(t *testing.T) {
			fault.Store(nil)
			run(t, c, server, &fault)
		})
	}
}

const limit = 5 * time.Second

func newID(t *testing.T, part string) onetime.ID {
	return onetime.Fingerprint(t.Name(), part)
}

// TestConformance: the index in a bucket, by either client, keeps what an index promises.
func TestConformance(t *testing.T) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		index, parts, operator := s3index.New(c), s3index.NewParts(c), sdkClient(server.URL(), testKey).Ledger()
		indextest.Test(t, func(t *testing.T) indextest.Index {
			return indextest.Index{Index: index, Uploads: index, Parts: parts, Ledger: operator, PartLedger: struct {
				*s3index.Parts
				deleter
			}{parts, operator}}
		})
	})
}

// deleter is what the edge has no permission for.
type deleter interface {
	DeletePartsEntry(ctx context.Context, limit time.Duration, id onetime.ID, version string) error
}

// TestSameObjects: both clients store the same.
func TestSameObjects(t *testing.T) {
	stored := map[string][]byte{}
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		ctx, x, id := t.Context(), s3index.New(c), newID(t, "")
		body := []byte(`{"version":1,"text":"ä & <b> +"}`)
		if _, err := x.Claim(ctx, limit, id, onetime.Revoked, body); err != nil {
			t.Fatal(err)
		}
		stored[t.Name()] = objectBytes(t, server, id.ExpiredKey())
	})
	var first []byte
	for name, object := range stored {
		if first == nil {
			first = object
		}
		if !bytes.Equal(object, first) {
			t.Errorf("%s stored\n%s\nthe other\n%s", name, object, first)
		}
	}
}

// objectBytes is what is stored of an object: body, type and metadata.
func objectBytes(t *testing.T, server *s3server.Server, key string) []byte {
	t.Helper()
	out, err := s3servertest.Client(server).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, "%s %v %s", aws.ToString(out.ContentType), out.Metadata, body)
}

func TestDeletedEntryIsTold(t *testing.T) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		ctx, x, id := t.Context(), s3index.New(c), newID(t, "")
		version, err := x.Claim(ctx, limit, id, onetime.Used, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		deleted, err := s3servertest.Client(server).DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: aws.String(s3servertest.Bucket), Key: aws.String(id.ExpiredKey()),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.HeadExpired(ctx, limit, id); !errors.Is(err, onetime.ErrDeleted) {
			t.Errorf("HeadExpired = %v, want ErrDeleted", err)
		}
		want := []onetime.Version{{ID: aws.ToString(deleted.VersionId), DeleteMarker: true}, {ID: version}}
		if got, err := x.ListExpired(ctx, limit, id); err != nil || !slices.Equal(got, want) {
			t.Errorf("ListExpired = %v, %v, want %v", got, err, want)
		}
	})
}

// TestUploadSignature is the promise that an upload signature is the same whoever
// makes it, and that S3 takes it on the production host, and there alone.
func TestUploadSignature(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	signers := map[string]aws.Credentials{
		"long-lived key": testKey,
		"role":           {AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "to/ken+with=odd&characters"},
	}
	for name, key := range signers {
		t.Run(name, func(t *testing.T) {
			var headers, metadata map[string]string
			upload := func(c client) string {
				q, err := c.PresignUpload(t.Context(), "uploads/x", headers, metadata, at, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
			wire, sdk := wireClient(t, "http://127.0.0.1:9", key), sdkClient("http://127.0.0.1:9", key)
			if a, b := upload(wire), upload(sdk); a != b {
				t.Errorf("wire %s\nsdk  %s", a, b)
			}
			headers = map[string]string{"if-none-match": "*", "x-amz-checksum-sha256": "abc="}
			if a, b := upload(wire), upload(sdk); a != b || !strings.Contains(a, "X-Amz-SignedHeaders=host%3Bif-none-match%3Bx-amz-checksum-sha256") {
				t.Errorf("with signed headers\nwire %s\nsdk  %s", a, b)
			}
			headers = nil
			metadata = map[string]string{"order": "17", "a-note": "a b+c&d=/é%"}
			if a, b := upload(wire), upload(sdk); a != b || !strings.Contains(a, "&x-amz-meta-a-note=a%20b%2Bc%26d%3D%2F%C3%A9%25&x-amz-meta-order=17&x-id=PutObject&X-Amz-Signature=") || !strings.Contains(a, "X-Amz-SignedHeaders=host&") {
				t.Errorf("with metadata\nwire %s\nsdk  %s", a, b)
			}
			metadata = nil
			if q := upload(wire); strings.Contains(q, "X-Amz-Security-Token=") != (key.SessionToken != "") {
				t.Errorf("upload query %s: session token", q)
			}
		})
	}
}

// TestMintedForm: a minted URL looks like any presigned one, as the SDK makes them.
func TestMintedForm(t *testing.T) {
	minted := onetime.Query{
		Region: s3servertest.Region, Date: time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC), Life: time.Minute, Signature: strings.Repeat("0", 64),
	}
	key := aws.Credentials{AccessKeyID: onetime.MintedAccessKey, SecretAccessKey: "any"}
	presigned, err := sdkClient("http://127.0.0.1:9", key).PresignUpload(t.Context(), "uploads/x", nil, nil, minted.Date, minted.Life)
	if err != nil {
		t.Fatal(err)
	}
	form, signature, _ := strings.Cut(presigned, "&X-Amz-Signature=")
	if got := minted.String(); got != form+"&X-Amz-Signature="+minted.Signature || len(signature) != len(minted.Signature) {
		t.Errorf("minted    %s\npresigned %s", got, presigned)
	}
}

func TestSignedUploadsAtTheRealServer(t *testing.T) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		put := func(query string) int {
			s := sender{scheme: "http", host: s3wire.ProductionHost(s3servertest.Bucket, s3servertest.Region), dial: strings.TrimPrefix(server.URL(), "http://")}
			reply, err := s.Send(t.Context(), limit, http.MethodPut, "/uploads/x?"+query, nil, []byte("body"))
			if err != nil {
				t.Fatal(err)
			}
			return reply.Status
		}
		upload, err := c.PresignUpload(t.Context(), "uploads/x", nil, nil, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if status := put(upload); status != http.StatusOK {
			t.Errorf("upload signature on the production host: %d, want 200", status)
		}
		metadata := map[string]string{"order": "17", "note": "a b+c&d=/%"}
		if upload, err = c.PresignUpload(t.Context(), "uploads/x", nil, metadata, time.Now(), time.Minute); err != nil {
			t.Fatal(err)
		}
		for how, changed := range map[string]string{
			"changed": strings.Replace(upload, "x-amz-meta-order=17", "x-amz-meta-order=18", 1), "taken away": strings.Replace(upload, "&x-amz-meta-order=17", "", 1),
			"added": upload + "&x-amz-meta-mine=1",
		} {
			if status := put(changed); status != http.StatusForbidden {
				t.Errorf("metadata %s: %d, want 403", how, status)
			}
		}
		if status := put(upload); status != http.StatusOK {
			t.Errorf("with metadata: %d, want 200", status)
		}
		out, err := s3servertest.Client(server).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: aws.String("uploads/x")})
		if err != nil || !maps.Equal(out.Metadata, metadata) {
			t.Errorf("metadata %v, %v, want %v", out.Metadata, err, metadata)
		}
		minted := onetime.Query{Region: s3servertest.Region, Date: time.Now(), Life: time.Minute, Signature: strings.Repeat("0", 64)}
		if status := put(minted.String()); status != http.StatusForbidden {
			t.Errorf("minted query put to S3 directly: %d, want 403", status)
		}
	})
}

// TestProductionHostVerifies sends signed index requests under the bucket's own
// host name, as the real edge does, to the server that stands in for it.
func TestProductionHostVerifies(t *testing.T) {
	server := s3servertest.New(t)
	endpoint, err := s3wire.NewEndpoint(s3servertest.Bucket, s3servertest.Region, "")
	if err != nil {
		t.Fatal(err)
	}
	if endpoint.Scheme != "https" || endpoint.Host != "oncegate-test.s3.us-east-1.amazonaws.com" {
		t.Fatalf("endpoint %+v", endpoint)
	}
	x := s3index.New(s3wire.New(s3servertest.Bucket, s3servertest.Region, endpoint, wireKey(testKey),
		sender{scheme: "http", host: endpoint.Host, dial: strings.TrimPrefix(server.URL(), "http://")}, time.Now))
	id := newID(t, "")
	version, err := x.Claim(t.Context(), limit, id, onetime.Used, []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, v, err := x.ReadExpired(t.Context(), limit, id); err != nil || v != version {
		t.Errorf("ReadExpired = %q, %v, want %q", v, err, version)
	}
	if got, err := x.ListExpired(t.Context(), limit, id); err != nil || len(got) != 1 || got[0].ID != version {
		t.Errorf("ListExpired = %v, %v", got, err)
	}
}

// TestSameFaults holds both clients to the same error for every way in which an
// answer can be bad, for every operation.
func TestSameFaults(t *testing.T) {
	type fault struct {
		name string
		s3server.Fault
	}
	var faults []fault
	for _, status := range []int{301, 307, 400, 403, 404, 409, 412, 429, 500, 503} {
		faults = append(faults, fault{fmt.Sprint(status), s3server.Fault{Kind: s3server.Answer, Status: status}})
	}
	faults = append(faults,
		fault{"dropped", s3server.Fault{Kind: s3server.Drop}},
		fault{"dropped after", s3server.Fault{Kind: s3server.Drop, Apply: true}},
		fault{"silence", s3server.Fault{Kind: s3server.Hang}},
		fault{"cut short", s3server.Fault{Kind: s3server.Truncate, Body: "{"}},
	)
	outcomes := map[string]map[string]string{}
	both(t, func(t *testing.T, c client, _ *s3server.Server, current *atomic.Pointer[s3server.Fault]) {
		x, parts, invitations := s3index.New(c), s3index.NewParts(c), s3index.NewInvitations(c)
		kind := t.Name()[strings.LastIndex(t.Name(), "/")+1:]
		outcomes[kind] = map[string]string{}
		for _, f := range faults {
			limit := limit
			if f.Kind == s3server.Hang {
				limit = 300 * time.Millisecond
			}
			for op, call := range map[string]func(ctx context.Context, id onetime.ID) error{
				"ReadValid": func(ctx context.Context, id onetime.ID) error { _, _, err := x.ReadValid(ctx, limit, id); return err },
				"WriteValid": func(ctx context.Context, id onetime.ID) error {
					_, err := x.WriteValid(ctx, limit, id, []byte("{}"))
					return err
				},
				"HeadExpired": func(ctx context.Context, id onetime.ID) error { _, err := x.HeadExpired(ctx, limit, id); return err },
				"Claim": func(ctx context.Context, id onetime.ID) error {
					_, err := x.Claim(ctx, limit, id, onetime.Used, []byte("{}"))
					return err
				},
				"ReadExpired": func(ctx context.Context, id onetime.ID) error { _, _, err := x.ReadExpired(ctx, limit, id); return err },
				"ListExpired": func(ctx context.Context, id onetime.ID) error { _, err := x.ListExpired(ctx, limit, id); return err },
				"CreateUpload": func(ctx context.Context, id onetime.ID) error {
					_, err := parts.CreateUpload(ctx, limit, "uploads/"+string(id), nil, nil, nil)
					return err
				},
				"WriteParts": func(ctx context.Context, id onetime.ID) error { return parts.WriteParts(ctx, limit, id, []byte("{}")) },
				"ReadParts":  func(ctx context.Context, id onetime.ID) error { _, err := parts.ReadParts(ctx, limit, id); return err },
				"ListParts": func(ctx context.Context, id onetime.ID) error {
					_, err := parts.ListParts(ctx, limit, "uploads/"+string(id), "upload")
					return err
				},
				"CompleteUpload": func(ctx context.Context, id onetime.ID) error {
					_, _, err := parts.CompleteUpload(ctx, limit, "uploads/"+string(id), "upload", []onetime.StoredPart{{Number: 1, Size: 1, ETag: "x"}})
					return err
				},
				"AbortUpload": func(ctx context.Context, id onetime.ID) error {
					return parts.AbortUpload(ctx, limit, "uploads/"+string(id), "upload")
				},
				"FindObject": func(ctx context.Context, id onetime.ID) error {
					_, _, err := parts.FindObject(ctx, limit, "uploads/"+string(id))
					return err
				},
				"ReadSlot": func(ctx context.Context, id onetime.ID) error {
					_, _, err := invitations.ReadSlot(ctx, limit, invite.ID(id), 0)
					return err
				},
				"CreateSlot": func(ctx context.Context, id onetime.ID) error {
					return invitations.CreateSlot(ctx, limit, invite.ID(id), 0, []byte("{}"))
				},
				"ReplaceSlot": func(ctx context.Context, id onetime.ID) error {
					return invitations.ReplaceSlot(ctx, limit, invite.ID(id), 0, `"e"`, []byte("{}"))
				},
				"ListSlots": func(ctx context.Context, id onetime.ID) error {
					_, err := invitations.ListSlots(ctx, limit, invite.ID(id))
					return err
				},
				"ListInvitations": func(ctx context.Context, _ onetime.ID) error {
					_, _, err := invitations.ListInvitations(ctx, limit, "")
					return err
				},
			} {
				if f.Kind == s3server.Truncate && op == "HeadExpired" {
					continue // an answer to HEAD has no body to cut
				}
				current.Store(&f.Fault)
				err := call(t.Context(), newID(t, f.name+op))
				current.Store(nil)
				outcomes[kind][f.name+" "+op] = outcomeName(err)
				if fault, ok := errors.AsType[*onetime.Fault](err); ok && fault.Status == 0 && fault.Err == nil {
					t.Errorf("%s, %s: no answer, and not why", f.name, op)
				}
			}
		}
	})
	for call, outcome := range outcomes["wire"] {
		if outcome == "ok" {
			t.Errorf("%s: no error", call)
		}
		if other := outcomes["sdk"][call]; other != outcome {
			t.Errorf("%s: wire %s, sdk %s", call, outcome, other)
		}
	}
	for call, want := range map[string]string{
		"404 ReadValid": "absent", "404 HeadExpired": "absent", "404 ReadExpired": "absent",
		"404 WriteValid": "fault 404", "404 Claim": "fault 404", "404 ListExpired": "fault 404",
		"412 Claim": "exists", "409 Claim": "conflict", "412 WriteValid": "fault 412",
		"403 HeadExpired": "fault 403", "503 Claim": "fault 503", "silence Claim": "fault 0",
		"cut short ReadValid": "fault 0", "dropped after Claim": "fault 0", "307 ReadValid": "fault 307",
		// The answers injected have S3's usual code for their status, and 404's is not that there is no such upload.
		"404 ReadParts": "absent", "404 WriteParts": "fault 404", "412 WriteParts": "exists", "409 WriteParts": "conflict",
		"404 ListParts": "fault 404", "404 CompleteUpload": "fault 404", "404 AbortUpload": "fault 404", "404 FindObject": "fault 404",
		"412 CompleteUpload": "exists", "409 CompleteUpload": "conflict", "412 CreateUpload": "fault 412", "403 CompleteUpload": "fault 403",
		"cut short CompleteUpload": "fault 0", "dropped after CompleteUpload": "fault 0", "503 ListParts": "fault 503",
		"404 ReadSlot": "absent", "404 CreateSlot": "fault 404", "412 CreateSlot": "exists", "409 CreateSlot": "conflict",
		"404 ReplaceSlot": "changed", "412 ReplaceSlot": "changed", "409 ReplaceSlot": "conflict", "403 ReplaceSlot": "fault 403",
		"404 ListSlots": "fault 404", "404 ListInvitations": "fault 404", "cut short ListSlots": "fault 0", "dropped CreateSlot": "fault 0",
	} {
		if got := outcomes["wire"][call]; got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	if n := len(outcomes["wire"]); n < 240 {
		t.Errorf("only %d calls were compared", n)
	}
}

func outcomeName(err error) string {
	fault, isFault := errors.AsType[*onetime.Fault](err)
	switch {
	case err == nil:
		return "ok"
	case isFault:
		return fmt.Sprintf("fault %d", fault.Status)
	case errors.Is(err, onetime.ErrAbsent):
		return "absent"
	case errors.Is(err, onetime.ErrExists):
		return "exists"
	case errors.Is(err, onetime.ErrConflict):
		return "conflict"
	case errors.Is(err, onetime.ErrChanged):
		return "changed"
	case errors.Is(err, onetime.ErrParts):
		return "parts"
	}
	return err.Error()
}
