package cloudfront

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"oncegate/edge"
)

// The rules come from the developer guide's pages on edge function restrictions and
// generated responses. Where these leave something open, the stricter reading holds, so
// that what passes here passes at AWS:
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/edge-function-restrictions-all.html
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-generating-http-responses.html

// maxGenerated is the limit on headers and body of a response generated in a
// viewer-request event.
const maxGenerated = 40 << 10

// maxRewritten is what uri and querystring of a returned request must stay below, together.
const maxRewritten = 8192

// Headers that functions never see and may not add. The prefixes end in a hyphen.
var (
	disallowedNames = []string{
		"connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
		"trailer", "upgrade", "x-accel-buffering", "x-accel-charset", "x-accel-limit-rate", "x-accel-redirect",
		"x-amzn-auth", "x-amzn-cf-billing", "x-amzn-cf-id", "x-amzn-cf-xff", "x-amzn-errortype",
		"x-amzn-fle-profile", "x-amzn-header-count", "x-amzn-header-order", "x-amzn-lambda-integration-tag",
		"x-amzn-requestid", "x-cache", "x-forwarded-proto", "x-real-ip",
	}
	disallowedPrefixes = []string{"x-amz-cf-", "x-edge-"}
	// Headers that a viewer-request function sees and must leave as they are.
	readOnlyNames = []string{"cdn-loop", "content-length", "host", "transfer-encoding", "via"}
)

func disallowed(name string) bool {
	return slices.Contains(disallowedNames, name) || slices.ContainsFunc(disallowedPrefixes, func(p string) bool {
		return strings.HasPrefix(name, p)
	})
}

// invalidResult says why a function's result is refused. Sentence is for the viewer,
// Detail for the log. Neither holds a value that the function chose.
type invalidResult struct{ Sentence, Detail string }

func (e *invalidResult) Error() string { return e.Detail }

func invalid(sentence, format string, args ...any) error {
	return &invalidResult{sentence, fmt.Sprintf(format, args...)}
}

const (
	sentenceStructure  = "The function returned an object of the wrong form."
	sentenceStatus     = "The function returned an invalid status."
	sentenceBody       = "The function returned an invalid body."
	sentenceSize       = "The function returned a response that is too large."
	sentenceHeaders    = "The function returned an invalid entry in the headers object."
	sentenceDisallowed = "The function tried to add a blacklisted header."
	sentenceReadOnly   = "The function tried to add, delete, or change a read-only header."
	sentenceURI        = "The function returned an invalid uri or querystring."
)

// outcome is what CloudFront does with a valid result: one of the two is set.
type outcome struct {
	response *generated
	request  *edge.Request
}

// generated is a response made by a function.
type generated struct {
	status  int
	headers edge.Headers // every Key filled in
	body    []byte
}

// interpret reads what a viewer-request function returned for the request it
// was sent. The error is an *invalidResult.
func interpret(sent edge.Request, result []byte) (outcome, error) {
	members, ok := object(result)
	if !ok {
		return outcome{}, invalid(sentenceStructure, "the function returned no object")
	}
	if _, ok := members["status"]; ok {
		r, err := interpretResponse(members)
		return outcome{response: r}, err
	}
	r, err := interpretRequest(sent, members)
	return outcome{request: r}, err
}

func interpretResponse(members map[string]json.RawMessage) (*generated, error) {
	if err := onlyMembers(members, "status", "statusDescription", "headers", "body", "bodyEncoding"); err != nil {
		return nil, err
	}
	r := &generated{headers: edge.Headers{}}
	status, ok := text(members["status"])
	code, err := strconv.Atoi(status)
	if !ok || err != nil || len(status) != 3 || code < 200 || code > 599 {
		return nil, invalid(sentenceStatus, "status is not a string from \"200\" to \"599\"")
	}
	r.status = code
	if raw, ok := members["statusDescription"]; ok {
		if s, ok := text(raw); !ok || !line(s) {
			return nil, invalid(sentenceStructure, "statusDescription is not a line of text")
		}
	}
	size := 0
	if raw, ok := members["headers"]; ok {
		if r.headers, err = parseHeaders(raw); err != nil {
			return nil, err
		}
		for name, values := range r.headers {
			if disallowed(name) {
				return nil, invalid(sentenceDisallowed, "the function tried to add disallowed header, headerName : %s", canonical(name))
			}
			if slices.Contains(readOnlyNames, name) {
				return nil, invalid(sentenceReadOnly, "the function tried to add read-only header, headerName : %s", canonical(name))
			}
			for _, v := range values {
				size += len(v.Key) + len(v.Value)
			}
		}
	}
	encoding := "text"
	if raw, ok := members["bodyEncoding"]; ok {
		if encoding, ok = text(raw); !ok || encoding != "text" && encoding != "base64" {
			return nil, invalid(sentenceBody, "bodyEncoding is neither \"text\" nor \"base64\"")
		}
	}
	if raw, ok := members["body"]; ok {
		body, ok := text(raw)
		if !ok {
			return nil, invalid(sentenceBody, "body is not a string")
		}
		if code == 204 {
			return nil, invalid(sentenceBody, "status 204 comes with a body")
		}
		size += len(body)
		r.body = []byte(body)
		if encoding == "base64" {
			if r.body, err = base64.StdEncoding.DecodeString(body); err != nil {
				return nil, invalid(sentenceBody, "body is not base64")
			}
		}
	}
	if size > maxGenerated {
		return nil, invalid(sentenceSize, "headers and body have %d bytes: allowed are %d", size, maxGenerated)
	}
	return r, nil
}

func interpretRequest(sent edge.Request, members map[string]json.RawMessage) (*edge.Request, error) {
	allowed := []string{"clientIp", "headers", "method", "querystring", "uri"}
	if sent.Body != nil {
		allowed = append(allowed, "body")
	}
	if err := onlyMembers(members, allowed...); err != nil {
		return nil, err
	}
	if raw, ok := members["body"]; ok {
		// CloudFront would take another body in place of the viewer's.
		body, _ := object(raw)
		if action, _ := text(body["action"]); action != "read-only" {
			return nil, invalid(sentenceBody, "body.action is not \"read-only\", which is all that is played here")
		}
	}
	for name, want := range map[string]string{"clientIp": sent.ClientIP, "method": sent.Method} {
		if got, ok := text(members[name]); !ok || got != want {
			return nil, invalid(sentenceStructure, "the function changed read-only member %s", name)
		}
	}
	r := sent
	var ok bool
	if r.URI, ok = text(members["uri"]); !ok || !strings.HasPrefix(r.URI, "/") || strings.ContainsAny(r.URI, " ?#") || !line(r.URI) {
		return nil, invalid(sentenceURI, "uri does not begin with a slash or has a space, ?, # or control character in it")
	}
	if r.Querystring, ok = text(members["querystring"]); !ok || strings.ContainsAny(r.Querystring, " #") || !line(r.Querystring) {
		return nil, invalid(sentenceURI, "querystring is missing or has a space, # or control character in it")
	}
	if n := len(r.URI) + len("?") + len(r.Querystring); n >= maxRewritten {
		return nil, invalid(sentenceURI, "uri and querystring have %d characters: allowed are fewer than %d", n, maxRewritten)
	}
	var err error
	if r.Headers, err = parseHeaders(members["headers"]); err != nil {
		return nil, err
	}
	for name := range r.Headers {
		if disallowed(name) {
			return nil, invalid(sentenceDisallowed, "the function tried to add disallowed header, headerName : %s", canonical(name))
		}
		// CloudFront adds these after the viewer request, and refuses a function that does.
		if strings.HasPrefix(name, "cloudfront-") && !sameValues(sent.Headers, r.Headers, name) {
			return nil, invalid(sentenceDisallowed, "the function tried to set header, headerName : %s", canonical(name))
		}
	}
	for _, name := range readOnlyNames {
		if sameValues(sent.Headers, r.Headers, name) {
			continue
		}
		verb := "change"
		switch {
		case len(sent.Headers[name]) == 0:
			verb = "add"
		case len(r.Headers[name]) == 0:
			verb = "delete"
		}
		return nil, invalid(sentenceReadOnly, "the function tried to %s read-only header, headerName : %s", verb, canonical(name))
	}
	return &r, nil
}

func sameValues(a, b edge.Headers, name string) bool {
	return slices.Equal(a.Values(name), b.Values(name))
}

// parseHeaders reads a headers object and fills in the keys that are missing.
func parseHeaders(raw json.RawMessage) (edge.Headers, error) {
	members, ok := object(raw)
	if !ok {
		return nil, invalid(sentenceHeaders, "headers is not an object")
	}
	headers := edge.Headers{}
	for name, raw := range members {
		if !token(name) || name != strings.ToLower(name) {
			return nil, invalid(sentenceHeaders, "header name %.40q is not lower case or no header name", name)
		}
		var entries []json.RawMessage
		if json.Unmarshal(raw, &entries) != nil || entries == nil {
			return nil, invalid(sentenceHeaders, "header %s is not an array", name)
		}
		for _, raw := range entries {
			entry, ok := object(raw)
			if !ok || onlyMembers(entry, "key", "value") != nil {
				return nil, invalid(sentenceHeaders, "header %s has an entry that is not {key, value}", name)
			}
			h := edge.Header{Key: canonical(name)}
			if raw, ok := entry["key"]; ok {
				if h.Key, ok = text(raw); !ok || strings.ToLower(h.Key) != name {
					return nil, invalid(sentenceHeaders, "header %s has an entry whose key is another", name)
				}
			}
			if h.Value, ok = text(entry["value"]); !ok || !line(h.Value) {
				return nil, invalid(sentenceHeaders, "header %s has an entry whose value is not a line of text", name)
			}
			headers[name] = append(headers[name], h)
		}
	}
	return headers, nil
}

// object reads a JSON object member by member: struct tags would match names
// without regard to case.
func object(raw json.RawMessage) (map[string]json.RawMessage, bool) {
	var members map[string]json.RawMessage
	return members, json.Unmarshal(raw, &members) == nil && members != nil
}

func onlyMembers(members map[string]json.RawMessage, names ...string) error {
	for name := range members {
		if !slices.Contains(names, name) {
			return invalid(sentenceStructure, "the function returned member %.40q: allowed are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

// text is a JSON string; null and absent are none.
func text(raw json.RawMessage) (string, bool) {
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// line reports whether s has no control characters but tabs.
func line(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
