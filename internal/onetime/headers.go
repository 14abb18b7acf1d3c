package onetime

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"oncegate/internal/lean/ascii"
)

// handling is what the gate does with a header of an upload that it lets pass.
type handling int

const (
	dropped  handling = iota // it does not reach S3
	passed                   // it reaches S3
	stored                   // it reaches S3, which keeps it with the object
	readOnly                 // CloudFront's: a function may not touch it
	refused                  // it always makes the request something else than an upload
)

// headerRule is a row of the table of headers.
type headerRule struct {
	// name is in lower case. One that ends in * covers all that begin so and have no row
	// of their own.
	name string
	handling
	// check returns what is wrong with the values, in a sentence for the client that
	// repeats nothing of them, or "". length is the body's.
	check func(values []string, length int64) string
}

// headerRules is the one table of what becomes of an upload's headers, in the order of
// the names. What has no row is dropped. docs/api.md says why each row is as it is.
//
// S3 authenticates by the upload signature alone: a second Authorization would be an
// error, and so would an x-amz-* header that is not signed. Conditions are the gate's
// business: a client's own could make S3 refuse a PUT that has already spent its URL.
var headerRules = []headerRule{
	{"cache-control", stored, nil},
	{"cdn-loop", readOnly, nil},
	{"content-disposition", stored, nil},
	{"content-encoding", stored, checkEncoding},
	{"content-language", stored, nil},
	{"content-length", readOnly, nil},
	{"content-md5", passed, checkMD5},
	{"content-range", dropped, checkContentRange},
	{"content-type", stored, checkContentType},
	{"expires", stored, nil},
	{"host", readOnly, nil},
	{"if-match", refused, refuseReplacing},
	{"oc-chunked", refused, refusePart},
	{"origin", passed, nil},
	{"range", dropped, checkRange},
	{"transfer-encoding", readOnly, nil},
	{"upload-complete", dropped, checkComplete},
	{"upload-incomplete", dropped, checkIncomplete},
	{"upload-offset", dropped, checkOffset},
	{"via", readOnly, nil},
	{"x-amz-*", dropped, nil},
	{"x-amz-content-sha256", dropped, checkPayloadHash},
	{"x-amz-copy-source*", refused, refuseCopy},
	{"x-amz-decoded-content-length", refused, refuseChunks},
	{"x-amz-object-lock-*", refused, refuseLock},
	{"x-amz-server-side-encryption", dropped, checkEncryption},
	{"x-amz-server-side-encryption-*", refused, refuseEncryption},
	{"x-amz-write-offset-bytes", refused, refusePart},
	{"x-http-method", dropped, checkMethod},
	{"x-http-method-override", dropped, checkMethod},
	{"x-method-override", dropped, checkMethod},
	{"x-update-range", refused, refusePart},
}

// withoutRow is the rule for every other header.
var withoutRow = headerRule{handling: dropped}

// ruleOf returns the rule for the header with this lower-case name.
func ruleOf(name string) *headerRule {
	// By hand: every header of every upload passes here, some of them twice, and the
	// library's search copies a row for each comparison.
	from, to := 0, len(headerRules)
	for from < to {
		middle := (from + to) / 2
		switch row := &headerRules[middle]; {
		case row.name == name:
			return row
		case row.name < name:
			from = middle + 1
		default:
			to = middle
		}
	}
	if !strings.HasPrefix(name, "x-amz-") {
		return &withoutRow
	}
	// Backwards: of two that cover it, the longer one comes later.
	for i := len(headerRules) - 1; i >= 0; i-- {
		if prefix, ok := strings.CutSuffix(headerRules[i].name, "*"); ok && strings.HasPrefix(name, prefix) {
			return &headerRules[i]
		}
	}
	return &withoutRow
}

// Forwarded reports whether a viewer's header stays in the request that CloudFront sends
// on to S3.
func Forwarded(name string) bool {
	h := ruleOf(name).handling
	return h == passed || h == stored || h == readOnly
}

// RefusesHeader reports whether an upload with this header is refused whatever it says.
func RefusesHeader(name string) bool { return ruleOf(name).handling == refused }

// maxMetadataBytes is how much system-defined metadata S3 takes with a PUT:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
const maxMetadataBytes = 2 << 10

// maxForwardedBytes keeps what a viewer can put into the request to S3 well below
// the 8 KB of headers that S3 takes with a PUT; CloudFront adds some of its own:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
const maxForwardedBytes = 6 << 10

// checkHeaders refuses headers that make of the PUT something else than one whole upload,
// that ask for what would not be done, or that S3 would refuse once the URL is spent. Of
// several it names the first one of the table.
func (put Put) checkHeaders(length int64) error {
	var first *headerRule
	var sizes sizes
	sentence := ""
	for _, name := range put.Headers.Names() {
		rule := ruleOf(name)
		toS3 := rule.reachesS3()
		if rule.check == nil && !toS3 {
			continue
		}
		values := put.Headers.Values(name)
		wrong := ""
		if rule.check != nil {
			wrong = rule.check(values, length)
		}
		if toS3 {
			sizes.add(rule, name, values)
			if wrong == "" && slices.ContainsFunc(values, hasControl) {
				wrong = "a header holds a control character; leave it out"
			}
		}
		if wrong != "" && (first == nil || rule.name < first.name) {
			first, sentence = rule, wrong
		}
	}
	if first != nil {
		return refuseHeader(sentence)
	}
	return sizes.check()
}

func refuseHeader(sentence string) error { return &Refusal{Reason: Header, Detail: sentence} }

// checkSizes is checkHeaders' last step once more, now that it is known what the gate
// adds: set replaces the viewer's own.
func (put Put) checkSizes(set map[string]string) error {
	if len(set) == 0 {
		return nil
	}
	sizes := put.sizesBut(set)
	for name, value := range set {
		sizes.add(ruleOf(name), name, []string{value})
	}
	return sizes.check()
}

// sizesBut are the sizes of the viewer's headers that go to S3, except those that are
// replaced.
func (put Put) sizesBut(replaced map[string]string) (sizes sizes) {
	for _, name := range put.Headers.Names() {
		if _, ok := replaced[name]; ok {
			continue
		}
		if rule := ruleOf(name); rule.reachesS3() {
			sizes.add(rule, name, put.Headers.Values(name))
		}
	}
	return sizes
}

// reachesS3 reports whether S3 gets what the viewer wrote into the header. Via and
// CDN-Loop are CloudFront's, which adds to them.
func (r *headerRule) reachesS3() bool {
	return r.handling == passed || r.handling == stored || r.name == "via" || r.name == "cdn-loop"
}

// sizes are the bytes of headers, names and values.
type sizes struct{ metadata, all int }

func (s *sizes) add(rule *headerRule, name string, values []string) {
	for _, value := range values {
		size := len(name) + len(value)
		if rule.handling == stored {
			s.metadata += size
		}
		s.all += size
	}
}

// check holds them to what S3 takes.
func (s *sizes) check() error {
	if s.metadata > maxMetadataBytes {
		return refuseHeader("the headers that are stored with the object (content-type, content-disposition, cache-control and the like) have more than " +
			strconv.Itoa(maxMetadataBytes) + " bytes together; make them shorter")
	}
	if s.all > maxForwardedBytes {
		return refuseHeader("the headers that go to S3 have more than " + strconv.Itoa(maxForwardedBytes) + " bytes together; make them shorter")
	}
	return nil
}

func hasControl(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' && value[i] != '\t' || value[i] == 0x7f {
			return true
		}
	}
	return false
}

// only reports whether there is one value, and it is one of these in any case of letters.
func only(values []string, allowed ...string) bool {
	return len(values) == 1 && slices.Contains(allowed, ascii.Lower(ascii.Trim(values[0])))
}

// partOfFile is for what says that the body is not the whole file.
const partOfFile = " says that this is a part of a file, and a URL takes one whole file; send the file from its first byte to its last"

func checkContentRange(values []string, length int64) string {
	n := strconv.FormatInt(length, 10)
	if length > 0 && only(values, "bytes 0-"+strconv.FormatInt(length-1, 10)+"/"+n) {
		return ""
	}
	return "content-range" + partOfFile + " (curl: without -C)"
}

func checkRange(values []string, length int64) string {
	if only(values, "bytes=0-", "bytes=0-"+strconv.FormatInt(length-1, 10)) {
		return ""
	}
	return "range" + partOfFile
}

func checkOffset(values []string, _ int64) string {
	if only(values, "0") {
		return ""
	}
	return "upload-offset" + partOfFile
}

func checkComplete(values []string, _ int64) string {
	if only(values, "?1") {
		return ""
	}
	return "upload-complete" + partOfFile
}

// checkIncomplete is checkComplete in the words of earlier drafts of the same protocol.
func checkIncomplete(values []string, _ int64) string {
	if only(values, "?0") {
		return ""
	}
	return "upload-incomplete" + partOfFile
}

func refusePart([]string, int64) string {
	return "a header" + partOfFile + ", without oc-chunked, x-update-range and x-amz-write-offset-bytes"
}

func checkMethod(values []string, _ int64) string {
	if only(values, "put") {
		return ""
	}
	return "a header asks for another method than PUT; leave out x-http-method-override and its like"
}

func refuseReplacing([]string, int64) string {
	return "if-match asks to replace an object, and an upload makes a new one; leave it out"
}

func refuseCopy([]string, int64) string {
	return "x-amz-copy-source asks for a copy, and a URL takes the body of the request; leave it out"
}

func refuseLock([]string, int64) string {
	return "x-amz-object-lock-* asks for a lock, which an upload cannot set; leave it out"
}

func refuseEncryption([]string, int64) string {
	return "x-amz-server-side-encryption-* asks for a key of its own, which an upload cannot choose; leave it out"
}

// checkEncryption takes what the bucket does in any case.
func checkEncryption(values []string, _ int64) string {
	if only(values, "aes256") {
		return ""
	}
	return "x-amz-server-side-encryption asks for an encryption that an upload cannot choose; leave it out"
}

// AWS SDKs can frame a body as aws-chunked. The frames are only undone for a request that
// was signed for them; behind an upload signature S3 would store them as if they were
// content.
const chunkedBody = "the body is framed as aws-chunked, which S3 would store as it is; send the plain file (AWS SDKs: with a presigned URL, not as an S3 call)"

func refuseChunks([]string, int64) string { return chunkedBody }

func checkEncoding(values []string, _ int64) string {
	for _, value := range values {
		if strings.Contains(ascii.Lower(value), "aws-chunked") {
			return chunkedBody
		}
	}
	return ""
}

func checkPayloadHash(values []string, _ int64) string {
	for _, value := range values {
		if strings.HasPrefix(ascii.Lower(ascii.Trim(value)), "streaming-") {
			return chunkedBody
		}
	}
	return ""
}

// checkMD5 counts the characters as well: the decoder skips line ends.
func checkMD5(values []string, _ int64) string {
	const bytes = 16
	if len(values) == 1 && len(values[0]) == base64.StdEncoding.EncodedLen(bytes) {
		if sum, err := base64.StdEncoding.Strict().DecodeString(values[0]); err == nil && len(sum) == bytes {
			return ""
		}
	}
	return "content-md5 is not the base64 of the 16 bytes of an MD5, once; correct it or leave it out"
}

// checkContentType lets odd values pass, such as an empty one or "undefined", which
// clients do send: only what a form or a part of a file is sent as never means an upload.
func checkContentType(values []string, _ int64) string {
	for _, value := range values {
		if !ascii.Printable(value) {
			return "content-type holds a character that no type has; send a plain one such as image/png"
		}
		for one := range strings.SplitSeq(value, ",") {
			essence, _, _ := strings.Cut(one, ";")
			switch ascii.Lower(ascii.Trim(essence)) {
			case "multipart/form-data":
				return "the body is a form, and S3 would store it as it is; send the file itself as the body (curl: -T FILE and not -F; JavaScript: the File and not FormData)"
			case "multipart/byteranges":
				return "content-type" + partOfFile
			}
		}
	}
	return ""
}
