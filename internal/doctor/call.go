package doctor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// The handful of requests that the checks make, signed with the SDK's signer. The SDK's packages
// for these services would be half a dozen more modules, for one call each.

// request is a call of a service in a Region.
type request struct {
	service, region string
	method, path    string
	query           url.Values
	header          map[string]string
	body            string
}

// form is a call of the services that answer XML to forms: STS, CloudFormation.
func form(service, region, action, version string, parameters map[string]string) request {
	values := url.Values{"Action": {action}, "Version": {version}}
	for name, value := range parameters {
		values.Set(name, value)
	}
	return request{service: service, region: region, method: http.MethodPost, path: "/", body: values.Encode(),
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}}
}

// target is a call of the services that take and answer JSON: Systems Manager, ACM.
func target(service, region, action string, in any) request {
	body, err := json.Marshal(in)
	if err != nil {
		panic(err) // in is a map of strings
	}
	return request{service: service, region: region, method: http.MethodPost, path: "/", body: string(body),
		header: map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": action}}
}

// answer is a complete answer with status 200, or a HEAD's with any status.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is an answer with another status.
type refusal struct {
	status        int
	code, message string
}

func (e *refusal) Error() string {
	if e.code == "" {
		return fmt.Sprintf("status %d", e.status)
	}
	return e.code + ": " + e.message
}

// denied reports whether these credentials may not ask.
func (e *refusal) denied() bool {
	return strings.HasPrefix(e.code, "AccessDenied") || e.code == "UnauthorizedOperation" || e.code == "" && e.status == http.StatusForbidden
}

// foreign reports whether the Region does not know the credentials. It does not, if it is not
// switched on for the account.
// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
func (e *refusal) foreign() bool {
	return e.code == "UnrecognizedClientException" || e.code == "InvalidClientTokenId" || e.code == "AuthFailure"
}

// tries is how often a request is made that is throttled or meets a fault of the service.
const tries = 3

// host returns the production host of a service in a Region.
func host(service, region string) string {
	if service == "cloudfront" {
		return "cloudfront.amazonaws.com"
	}
	return service + "." + region + ".amazonaws.com"
}

// call makes a request. The error is a *refusal if there was an answer.
func (r *run) call(ctx context.Context, q request) (answer, error) {
	for try := 1; ; try++ {
		a, err := r.once(ctx, q)
		refused, ok := errors.AsType[*refusal](err)
		if err == nil || !ok || try == tries || refused.status < 500 && refused.status != 429 && !strings.HasPrefix(refused.code, "Throttling") {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-time.After(time.Duration(try) * 300 * time.Millisecond):
		}
	}
}

func (r *run) once(ctx context.Context, q request) (answer, error) {
	base := "https://" + host(q.service, q.region)
	if r.o.Endpoint != nil {
		if e := r.o.Endpoint(q.service); e != "" {
			base = strings.TrimSuffix(e, "/")
		}
	}
	u := base + q.path
	if len(q.query) > 0 {
		u += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u, strings.NewReader(q.body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(q.body))
	hash := hex.EncodeToString(sum[:])
	if q.service == "s3" {
		req.Header.Set("X-Amz-Content-Sha256", hash)
	}
	credentials, err := r.o.Credentials.Retrieve(ctx)
	if err != nil {
		return answer{}, err
	}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hash, q.service, q.region, time.Now()); err != nil {
		return answer{}, err
	}
	res, err := r.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return answer{}, err
	}
	if res.StatusCode != http.StatusOK && q.method != http.MethodHead {
		return answer{}, refused(res, body)
	}
	return answer{res.StatusCode, res.Header, body}, nil
}

var (
	xmlCode    = regexp.MustCompile(`<Code>([\w.]+)</Code>`)
	xmlMessage = regexp.MustCompile(`<Message>([^<]*)</Message>`)
)

// refused reads what each kind of service says when it refuses.
func refused(res *http.Response, body []byte) *refusal {
	e := &refusal{status: res.StatusCode}
	if found := xmlCode.FindSubmatch(body); found != nil {
		e.code = string(found[1])
		if found := xmlMessage.FindSubmatch(body); found != nil {
			e.message = string(found[1])
		}
		return e
	}
	var j struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // or Message: names match in any case
	}
	if json.Unmarshal(body, &j) == nil {
		e.code, e.message = j.Type, j.Message
	}
	if name := res.Header.Get("X-Amzn-Errortype"); name != "" {
		e.code = name
	}
	// com.amazonaws.service#Code, Code:http://…
	e.code = e.code[strings.LastIndexByte(e.code, '#')+1:]
	e.code, _, _ = strings.Cut(e.code, ":")
	return e
}

// readJSON and readXML read an answer that must be one.
func readJSON(a answer, out any) error { return complete(json.Unmarshal(a.body, out)) }
func readXML(a answer, out any) error  { return complete(xml.Unmarshal(a.body, out)) }

func complete(err error) error {
	if err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// unanswered is the line of a check whose question got no clear answer. action is what the
// credentials must be allowed to do, region where.
func (r *run) unanswered(err error, action, region string) Line {
	e, ok := errors.AsType[*refusal](err)
	switch {
	case ok && e.denied():
		return found(Unclear, "these credentials may not %s in %s", action, region).do("allow it, or look for yourself")
	case ok && e.foreign() && region != edgeRegion:
		return found(Fail, "the Region %s does not know these credentials", region).do("switch the Region on for this account (AWS console, Account, AWS Regions), or choose another \"region\" in the settings")
	case ok:
		return found(Unclear, "%s in %s: %v", action, region, e).do("try again")
	}
	return found(Unclear, "%s in %s: no answer: %v", action, region, err).do("try again")
}
