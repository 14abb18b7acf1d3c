package s3server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"oncegate/internal/lean/sigv4"
	"oncegate/internal/local/iam"
)

// Role is a role with one set of its temporary credentials.
type Role struct {
	ARN string // such as arn:aws:iam::111122223333:role/name
	sigv4.Credentials
	Policies []json.RawMessage // the role's identity-based policies
}

// NewRole makes a role with fresh credentials of the form that Lambda hands out.
func NewRole(arn string, policies ...json.RawMessage) Role {
	return Role{ARN: arn, Policies: policies, Credentials: sigv4.Credentials{
		AccessKeyID: "ASIA" + rand.Text()[:16], SecretAccessKey: rand.Text() + rand.Text(),
		SessionToken: rand.Text() + rand.Text() + rand.Text(),
	}}
}

// ConditionKeys are the keys that policies may use in conditions; another one is an error at the start.
//
//   - aws:SecureTransport is true and s3:TlsVersion 1.3 though the hop on this machine is plain http: it stands for
//     one that has TLS.
//   - s3:if-none-match, s3:if-match and s3:ObjectCreationOperation are there for s3:PutObject alone
//     (AmazonS3/latest/userguide/conditional-writes-enforce.html); s3:prefix, s3:delimiter and s3:max-keys when a list
//     is asked for with them.
//   - s3:signatureAge is there for presigned requests, in milliseconds
//     (AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html).
//   - events:source and events:detail-type come with events for EventBridge, which a role's policies may also be about;
//     no request to S3 has them.
//   - so do the keys of dynamodb with requests to DynamoDB.
//   - aws:SourceArn and aws:SourceAccount come with calls of AWS services only, so never.
var ConditionKeys = []string{
	"aws:PrincipalAccount", "aws:PrincipalArn", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn",
	"dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnValues", "dynamodb:Select",
	"events:detail-type", "events:source", "s3:authType", "s3:delimiter", "s3:if-match", "s3:if-none-match", "s3:max-keys", "s3:ObjectCreationOperation",
	"s3:prefix", "s3:signatureAge", "s3:signatureversion", "s3:TlsVersion",
}

// access decides who may do what. versitygw asks it about requests that the proxy has announced with begin.
type access struct {
	log        *slog.Logger
	identities map[string]identity // by access key
	calls      sync.Map            // requests under way, *call by id
	// marker reports whether the newest version of a key is a delete marker.
	marker func(ctx context.Context, bucket, key string) (bool, error)
}

// identity is one principal with one set of credentials.
type identity struct {
	arn string
	sigv4.Credentials
	policies []iam.Policy // its own and the bucket's
}

// call is one request on its way through versitygw.
type call struct {
	id string
	r  *http.Request            // as the client sent it
	by atomic.Pointer[identity] // set once its signature was verified
	// absent is set where a conditional delete or write was stopped because its object is not there.
	absent atomic.Bool
	// size and etag are of the object that a complete has made, -1 and "" where they are not known.
	size int64
	etag string
}

type callKey struct{}

// newAccess reads all policies. The operator is the account's administrator: only the bucket policy can deny it
// anything.
func newAccess(o Options) (*access, error) {
	a := &access{log: o.Log, identities: map[string]identity{}}
	var bucket iam.Policy
	var err error
	if o.BucketPolicy != nil {
		if bucket, err = iam.ParseResource("bucket policy", o.BucketPolicy, ConditionKeys); err != nil {
			return nil, err
		}
	}
	account := "000000000000"
	for _, r := range o.Roles {
		parts := strings.Split(r.ARN, ":")
		if len(parts) != 6 || !strings.HasPrefix(parts[5], "role/") {
			return nil, fmt.Errorf("s3 server: role %q is not the ARN of a role", r.ARN)
		}
		account = parts[4]
		if r.AccessKeyID == "" || r.SecretAccessKey == "" {
			return nil, fmt.Errorf("s3 server: role %s has no credentials", r.ARN)
		}
		who := identity{arn: r.ARN, Credentials: r.Credentials}
		for i, document := range r.Policies {
			p, err := iam.ParseIdentity(fmt.Sprintf("policy %d of %s", i+1, r.ARN), document, ConditionKeys)
			if err != nil {
				return nil, err
			}
			who.policies = append(who.policies, p)
		}
		who.policies = append(who.policies, bucket)
		if _, taken := a.identities[r.AccessKeyID]; taken || r.AccessKeyID == o.Operator.AccessKeyID {
			return nil, fmt.Errorf("s3 server: role %s has another's access key", r.ARN)
		}
		a.identities[r.AccessKeyID] = who
	}
	a.identities[o.Operator.AccessKeyID] = identity{
		arn: "arn:aws:iam::" + account + ":user/operator", Credentials: o.Operator, policies: []iam.Policy{iam.Administrator(), bucket},
	}
	return a, nil
}

var (
	errNoIdentity = errors.New("no such access key")
	errBadToken   = errors.New("the session token does not belong to the access key")
)

// identify finds the identity of an access key. Temporary credentials without their token are unknown to S3, which
// answers InvalidAccessKeyId. Another's token is an InvalidToken, and so is any token with a key that has none.
func (a *access) identify(key, token string) (identity, error) {
	who, ok := a.identities[key]
	if !ok || token == "" && who.SessionToken != "" {
		return who, errNoIdentity
	}
	if subtle.ConstantTimeCompare([]byte(token), []byte(who.SessionToken)) != 1 {
		return who, errBadToken
	}
	return who, nil
}

// begin announces a request to versitygw's questions about it.
func (a *access) begin(r *http.Request) (*call, context.Context) {
	c := &call{id: rand.Text(), r: r, size: -1}
	a.calls.Store(c.id, c)
	return c, context.WithValue(r.Context(), callKey{}, c)
}

func (a *access) end(c *call) { a.calls.Delete(c.id) }

// decide answers for one action on one resource of a request whose signature was right.
func (a *access) decide(c *call, who identity, action, resource string) iam.Decision {
	// versitygw asks for GetObject on "key?versionId=id" where a copy names a version; S3 for GetObjectVersion on the
	// key: AmazonS3/latest/API/API_CopyObject.html
	if source, _, versioned := strings.Cut(resource, "?versionId="); versioned && c.r.Header.Get("X-Amz-Copy-Source") != "" && action == "s3:GetObject" {
		action, resource = "s3:GetObjectVersion", source
	}
	decide := func() (iam.Decision, string) {
		return iam.Decide(iam.Request{
			Principal: who.arn, Action: action, Resource: resource, Context: conditionContext(c.r, who, action, time.Now()),
		}, who.policies...)
	}
	d, reason := decide()
	// A write with If-Match says what is there: AmazonS3/latest/userguide/conditional-writes.html
	if d == iam.Allowed && action == "s3:PutObject" && conditionalReplace(c.r) {
		action = "s3:GetObject"
		d, reason = decide()
	}
	if d != iam.Allowed {
		a.log.Warn("s3 denies access", "principal", who.arn, "action", action, "resource", resource, "because", reason)
	}
	return d
}

// hidesAbsent reports whether S3 answers 403 instead of 404 for an absent key, which it does to a principal that may not
// list the bucket.
// AmazonS3/latest/API/API_HeadObject.html
func (a *access) hidesAbsent(c *call, bucket string) bool {
	who := c.by.Load()
	return who != nil && a.decide(c, *who, "s3:ListBucket", "arn:aws:s3:::"+bucket) != iam.Allowed
}

// conditionContext returns the values of ConditionKeys for the request, by their names in lower case.
func conditionContext(r *http.Request, who identity, action string, now time.Time) map[string]string {
	q := r.URL.Query()
	all := map[string]string{
		"aws:principalarn": who.arn, "aws:principalaccount": strings.Split(who.arn, ":")[4],
		"aws:securetransport": "true", "s3:tlsversion": "1.3",
		"s3:signatureversion": "AWS4-HMAC-SHA256", "s3:authtype": "REST-HEADER",
	}
	switch {
	case q.Has("X-Amz-Signature"):
		all["s3:authtype"] = "REST-QUERY-STRING"
		if t, err := time.Parse(amzDate, q.Get("X-Amz-Date")); err == nil {
			all["s3:signatureage"] = strconv.FormatInt(now.Sub(t).Milliseconds(), 10)
		}
	case r.Header.Get("Authorization") == "":
		all["s3:authtype"] = "POST"
	}
	switch action {
	case "s3:PutObject":
		for _, h := range []string{"If-None-Match", "If-Match"} {
			if v, ok := r.Header[h]; ok {
				all["s3:"+strings.ToLower(h)] = v[0]
			}
		}
		// Starting a multipart upload and its parts make no object yet.
		all["s3:objectcreationoperation"] = strconv.FormatBool(!q.Has("uploads") && !q.Has("partNumber"))
	case "s3:ListBucket", "s3:ListBucketVersions":
		for _, p := range []string{"prefix", "delimiter", "max-keys"} {
			if q.Has(p) {
				all["s3:"+p] = q.Get(p)
			}
		}
	}
	return all
}
