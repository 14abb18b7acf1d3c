package s3server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/iam"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

// policy wraps statements whose resources are written without the bucket's ARN: @ is that.
func policy(statements ...string) json.RawMessage {
	doc := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
	return json.RawMessage(strings.ReplaceAll(doc, "@", "arn:aws:s3:::"+s3servertest.Bucket))
}

const (
	readIndex  = `{"Effect":"Allow","Action":"s3:GetObject","Resource":["@/signatures/valid/*","@/signatures/expired/*"]}`
	writeGate  = `{"Effect":"Allow","Action":"s3:PutObject","Resource":["@/signatures/expired/*","@/uploads/*"]}`
	listBucket = `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"@"}`
	writeLogs  = `{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:PutLogEvents"],"Resource":"arn:aws:logs:*:111122223333:log-group:/aws/lambda/us-east-1.gate:*"}`

	// The bucket policy as the CDK writes it.
	onlyTLS    = `{"Action":"s3:*","Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny","Principal":{"AWS":"*"},"Resource":["@","@/*"]}`
	onlyNewTLS = `{"Action":"s3:*","Condition":{"NumericLessThan":{"s3:TlsVersion":1.2}},"Effect":"Deny","Principal":{"AWS":"*"},"Resource":["@","@/*"]}`
	claims     = `{"Sid":"ClaimsAreConditional","Action":"s3:PutObject","Condition":{"Null":{"s3:if-none-match":"true"}},"Effect":"Deny","Principal":{"AWS":"*"},"Resource":"@/signatures/expired/*"}`
	noDelete   = `{"Sid":"IndexIsNotDeleted","Action":"s3:DeleteObject","Effect":"Deny","Principal":{"AWS":"*"},"Resource":"@/signatures/*"}`
)

func mintRole() s3server.Role {
	return s3server.NewRole("arn:aws:iam::111122223333:role/mint",
		policy(`{"Effect":"Allow","Action":"s3:PutObject","Resource":"@/signatures/valid/*"}`, writeLogs))
}

func gateRole(without ...string) s3server.Role {
	var statements []string
	for _, s := range []string{readIndex, writeGate, listBucket} {
		if len(without) == 0 || without[0] != s {
			statements = append(statements, s)
		}
	}
	return s3server.NewRole("arn:aws:iam::111122223333:role/gate", policy(statements...), policy(writeLogs))
}

// guarded starts a server with the given roles and the bucket policy, and more statements of the latter.
func guarded(t testing.TB, roles []s3server.Role, more ...string) *s3server.Server {
	t.Helper()
	return s3servertest.New(t, func(o *s3server.Options) {
		o.Roles = roles
		o.BucketPolicy = policy(append(more, onlyTLS, onlyNewTLS, claims, noDelete)...)
	})
}

func code(err error) string {
	var ae smithy.APIError
	if errors.As(err, &ae) {
		return ae.ErrorCode()
	}
	return ""
}

// A batch may hold what is allowed beside what is not.
func TestDeleteObjects(t *testing.T) {
	s := guarded(t, nil)
	c := s3servertest.Client(s)
	put(t, c, "signatures/valid/k", "x")
	put(t, c, "uploads/k", "x")
	out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: bucket(), Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String("signatures/valid/k")}, {Key: aws.String("uploads/k")}},
	}})
	if err != nil || len(out.Deleted) != 1 || *out.Deleted[0].Key != "uploads/k" ||
		len(out.Errors) != 1 || *out.Errors[0].Key != "signatures/valid/k" || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("%+v %v", out, err)
	}
	if got := get(t, c, "signatures/valid/k"); got != "x" {
		t.Errorf("the protected key holds %q", got)
	}
}

func TestPresignedByRole(t *testing.T) {
	gate := gateRole()
	s := guarded(t, []s3server.Role{gate})
	once := []string{"If-None-Match", "*"}
	for _, tt := range []struct {
		key    string
		signed []string
		status int
	}{
		{"uploads/x", nil, 200},
		{"uploads/once", once, 200},
		{"uploads/once", once, 412},
		{"signatures/valid/x", nil, 403},
		{"signatures/expired/x", nil, 403},
		{"signatures/expired/x", once, 200},
		{"uploadsx", nil, 403},
		{"uploads/../signatures/valid/x", nil, 403},
	} {
		u := presignAs(t, gate, "PUT", tt.key, time.Now(), tt.signed...)
		res, body := via(t, s, "PUT", u, strings.NewReader("photo"), tt.signed...)
		if res.StatusCode != tt.status || tt.status == 403 && !strings.Contains(body, "<Code>AccessDenied</Code>") {
			t.Errorf("%s %v: %s %s, want %d", tt.key, tt.signed, res.Status, body, tt.status)
		}
		if tt.status == 200 && res.Header.Get("X-Amz-Version-Id") == "" {
			t.Errorf("%s: no version id", tt.key)
		}
	}
	c := s3servertest.Client(s)
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket()})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	if got := fmt.Sprint(keys); got != "[signatures/expired/x uploads/once uploads/x]" {
		t.Errorf("stored %s", got)
	}
	if got := get(t, c, "uploads/x"); got != "photo" {
		t.Errorf("stored %q", got)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res, body := via(t, s, "PUT", presignAs(t, gate, "PUT", "uploads/x", time.Now()), strings.NewReader("y")); res.StatusCode != 200 {
		t.Errorf("after a restart: %s %s", res.Status, body)
	}
}

// Who somebody is comes before what he may do: nothing is told or done for a wrong signature or token.
func TestAuthenticationFirst(t *testing.T) {
	mint, gate := mintRole(), gateRole()
	permanent := gate
	permanent.ARN, permanent.AccessKeyID, permanent.SessionToken = "arn:aws:iam::111122223333:role/permanent", "PERMANENTKEY", ""
	s := guarded(t, []s3server.Role{mint, gate, permanent})
	as := func(change func(*s3server.Role)) s3server.Role { r := gate; change(&r); return r }
	operator := s3server.Role{Credentials: s3servertest.Operator}
	withToken := operator
	withToken.SessionToken = gate.SessionToken
	tests := []struct {
		name   string
		by     s3server.Role
		status int
		code   string
	}{
		{"right", gate, 200, ""},
		{"right without token", permanent, 200, ""},
		{"wrong secret", as(func(r *s3server.Role) { r.SecretAccessKey = "wrong" }), 403, "SignatureDoesNotMatch"},
		{"another's secret", as(func(r *s3server.Role) { r.SecretAccessKey = mint.SecretAccessKey }), 403, "SignatureDoesNotMatch"},
		{"no token", as(func(r *s3server.Role) { r.SessionToken = "" }), 403, "InvalidAccessKeyId"},
		{"wrong token", as(func(r *s3server.Role) { r.SessionToken += "x" }), 400, "InvalidToken"},
		{"another's token", as(func(r *s3server.Role) { r.SessionToken = mint.SessionToken }), 400, "InvalidToken"},
		{"operator with a token", withToken, 400, "InvalidToken"},
		{"unknown key", as(func(r *s3server.Role) { r.AccessKeyID = "ASIAUNKNOWN" }), 403, "InvalidAccessKeyId"},
	}
	for _, tt := range tests {
		for _, key := range []string{"uploads/k", "signatures/valid/k"} { // one that gate may write, one that it may not
			want, wantCode := tt.status, tt.code
			if want == 200 && key != "uploads/k" {
				want, wantCode = 403, "AccessDenied"
			}
			key += "-" + strings.ReplaceAll(tt.name, " ", "-")
			res, body := via(t, s, "PUT", presignAs(t, tt.by, "PUT", key, time.Now()), strings.NewReader("x"))
			if res.StatusCode != want || wantCode != "" && !strings.Contains(body, "<Code>"+wantCode+"</Code>") {
				t.Errorf("%s, presigned %s: %s %s, want %d %s", tt.name, key, res.Status, body, want, wantCode)
			}
			var err error
			for range 3 {
				_, err = s3servertest.ClientAs(s, tt.by).PutObject(t.Context(),
					&s3.PutObjectInput{Bucket: bucket(), Key: aws.String(key), Body: strings.NewReader("x")})
				// A server that refuses before it has read the body may cut its own answer
				// off when it closes the connection. That answer says nothing.
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					break
				}
			}
			if want == 200 && err != nil || want != 200 && (status(err) != want || code(err) != wantCode) {
				t.Errorf("%s, header %s: %v, want %d %s", tt.name, key, err, want, wantCode)
			}
		}
	}
	// A token that is not part of what was signed.
	u := presignAs(t, gate, "PUT", "uploads/stripped", time.Now())
	token := "&X-Amz-Security-Token=" + gate.SessionToken
	if !strings.Contains(u, token) {
		t.Fatal("the token is not in the query")
	}
	for name, u := range map[string]string{
		"taken out": strings.Replace(u, token, "", 1),
		"put in":    presignAs(t, as(func(r *s3server.Role) { r.SessionToken = "" }), "PUT", "uploads/added", time.Now()) + token,
	} {
		if res, body := via(t, s, "PUT", u, strings.NewReader("x")); res.StatusCode != 403 {
			t.Errorf("token %s: %s %s", name, res.Status, body)
		}
	}
	out, err := s3servertest.Client(s).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket()})
	if err != nil || len(out.Contents) != 2 { // by "right" and "right without token"
		t.Errorf("stored %d objects, %v", len(out.Contents), err)
	}
}

// Without s3:ListBucket S3 does not tell "absent" from "forbidden".
func TestAbsentWithoutListBucket(t *testing.T) {
	gate := gateRole(listBucket)
	var log bytes.Buffer // slog's handler locks around each write; read after Close
	s := s3servertest.New(t, func(o *s3server.Options) {
		o.Roles = []s3server.Role{gate}
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	operator := s3servertest.Client(s)
	put(t, operator, "signatures/valid/there", "x")
	put(t, operator, "signatures/valid/deleted", "x")
	if _, err := operator.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket(), Key: aws.String("signatures/valid/deleted")}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"there": 200, "absent": 403, "deleted": 403} {
		for _, method := range []string{"HEAD", "GET"} {
			res, body := via(t, s, method, presignAs(t, gate, method, "signatures/valid/"+key, time.Now()), nil)
			if res.StatusCode != want || res.Header.Get("X-Amz-Delete-Marker") != "" {
				t.Errorf("%s %s: %s %v, want %d", method, key, res.Status, res.Header, want)
			}
			if has := strings.Contains(body, "<Code>AccessDenied</Code>"); has != (method == "GET" && want == 403) {
				t.Errorf("%s %s: %s", method, key, body)
			}
		}
	}
	s.Close()
	want := `msg="s3 denies access" principal=` + gate.ARN + ` action=s3:ListBucket resource=arn:aws:s3:::` + s3servertest.Bucket + ` because="no statement allows it"`
	if !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say\n%s\nbut\n%s", want, log.String())
	}
	for _, secret := range []string{gate.SecretAccessKey, gate.SessionToken, "X-Amz-Signature"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has a secret:\n%s", log.String())
		}
	}
}

// What the request is, as far as conditions can ask.
func TestConditionContext(t *testing.T) {
	deny := func(condition string) string {
		return `{"Sid":"Test","Effect":"Deny","Principal":"*","Action":"*","Resource":["@/uploads/*","@"],"Condition":` + condition + `}`
	}
	gate := gateRole()
	now := time.Now()
	presigned := func(age time.Duration) func(s *s3server.Server) int {
		return func(s *s3server.Server) int {
			res, _ := via(t, s, "PUT", presignAs(t, gate, "PUT", "uploads/k", now.Add(-age)), strings.NewReader("x"))
			return res.StatusCode
		}
	}
	header := func(s *s3server.Server) int {
		_, err := s3servertest.ClientAs(s, gate).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket(), Key: aws.String("uploads/k")})
		return max(status(err), 200)
	}
	list := func(prefix *string) func(s *s3server.Server) int {
		return func(s *s3server.Server) int {
			_, err := s3servertest.ClientAs(s, gate).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket(), Prefix: prefix})
			return max(status(err), 200)
		}
	}
	absent := func(s *s3server.Server) int {
		_, err := s3servertest.ClientAs(s, gate).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket(), Key: aws.String("signatures/valid/absent")})
		return status(err)
	}
	multipart := func(s *s3server.Server) int {
		_, err := s3servertest.ClientAs(s, gate).CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket(), Key: aws.String("uploads/m")})
		return max(status(err), 200)
	}
	tests := []struct {
		condition string
		do        func(*s3server.Server) int
		want      int
	}{
		{`{"Bool":{"aws:SecureTransport":"true"}}`, header, 403}, // the hop counts as TLS
		{`{"Bool":{"aws:SecureTransport":"false"}}`, header, 200},
		{`{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}`, header, 200},
		{`{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}`, presigned(0), 403},
		{`{"StringEquals":{"s3:authType":"REST-HEADER"}}`, header, 403},
		{`{"NumericGreaterThan":{"s3:signatureAge":120000}}`, presigned(time.Minute), 200},
		{`{"NumericGreaterThan":{"s3:signatureAge":120000}}`, presigned(3 * time.Minute), 403},
		{`{"Null":{"s3:signatureAge":"false"}}`, header, 200},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/gate"}}`, header, 403},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/gate"}}`, header, 200},
		{`{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}`, header, 200},
		{`{"StringEquals":{"s3:prefix":"signatures/"}}`, list(aws.String("signatures/")), 403},
		{`{"StringEquals":{"s3:prefix":"signatures/"}}`, list(nil), 200},
		{`{"Null":{"s3:prefix":"true"}}`, list(nil), 403},
		{`{"Null":{"s3:prefix":"true"}}`, absent, 403}, // a condition on s3:prefix turns 404 into 403
		{`{"Null":{"s3:prefix":"false"}}`, absent, 404},
		{`{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`, header, 403},
		{`{"Null":{"s3:if-none-match":"true"},"Bool":{"s3:ObjectCreationOperation":"true"}}`, multipart, 200},
	}
	for _, tt := range tests {
		t.Run(tt.condition, func(t *testing.T) {
			t.Parallel()
			if got := tt.do(guarded(t, []s3server.Role{gate}, deny(tt.condition))); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

// Requests that differ only in a header are told apart while many of them are under way.
func TestDecisionsAreNotMixedUp(t *testing.T) {
	gate := gateRole()
	s := guarded(t, []s3server.Role{gate})
	var wg sync.WaitGroup
	for i := range 60 {
		var signed []string
		want := 403
		if i%2 == 0 {
			signed, want = []string{"If-None-Match", "*"}, 200
		}
		key := fmt.Sprintf("signatures/expired/%d", i)
		u := presignAs(t, gate, "PUT", key, time.Now(), signed...)
		wg.Go(func() {
			res, body := via(t, s, "PUT", u, strings.NewReader("x"), append(signed, "Referer", "https://example.com/")...)
			if res.StatusCode != want {
				t.Errorf("%s: %s %s, want %d", key, res.Status, body, want)
			}
		})
	}
	wg.Wait()
}

// Something that would be decided otherwise than at AWS stops the start and is named.
func TestPolicyErrors(t *testing.T) {
	o := s3servertest.Options(t)
	gate := gateRole()
	for want, change := range map[string]func(*s3server.Options){
		"policy 1 of arn:aws:iam::111122223333:role/gate: cannot play NotResource in statement Wide": func(o *s3server.Options) {
			o.Roles = []s3server.Role{s3server.NewRole(gate.ARN, policy(`{"Sid":"Wide","Effect":"Allow","Action":"s3:*","NotResource":"@/signatures/*"}`))}
		},
		"bucket policy: statement 1: cannot play condition key aws:SourceVpce": func(o *s3server.Options) {
			o.BucketPolicy = policy(`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}}`)
		},
		"has another's access key": func(o *s3server.Options) { o.Roles = []s3server.Role{gate, gate} },
		`role "gate" is not the ARN of a role`: func(o *s3server.Options) {
			o.Roles = []s3server.Role{{ARN: "gate", Credentials: sigv4.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}}}
		},
		"has no credentials": func(o *s3server.Options) { o.Roles = []s3server.Role{{ARN: gate.ARN}} },
	} {
		p := o
		change(&p)
		_, err := s3server.Start(t.Context(), p)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, iam.ErrCannotPlay) != strings.Contains(want, "cannot play") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Nobody without a signature gets anything, whatever the bucket policy says: public access is blocked.
func TestAnonymous(t *testing.T) {
	s := guarded(t, nil, `{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["@","@/*"]}`)
	put(t, s3servertest.Client(s), "uploads/k", "x")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		if res, body := via(t, s, method, "https://"+s3servertest.Host+"/uploads/k", nil); res.StatusCode != 403 {
			t.Errorf("%s: %s %s", method, res.Status, body)
		}
	}
}
