package onetime

import (
	"errors"
	"strings"

	"oncegate/internal/lean/urlquery"
)

// Operation is what a request asks about the URL's multipart upload. It is in the query beside
// the URL's own parameters, under S3's names: "uploads", "partNumber=7".
type Operation struct {
	Name string // one of the operations, "" for none
	// Value is the part's number, as it was written; "" for the other operations.
	Value string
	// After: OpList leaves out parts up to this number.
	After int
	// ETag is the one that the client expects of the whole object, or "".
	ETag string
}

// The operations.
const (
	OpStart    = "uploads"    // POST: start the upload, or find the one under way
	OpPart     = "partNumber" // PUT: one part
	OpList     = "parts"      // GET: the parts that are there
	OpComplete = "complete"   // POST: make the object from them
)

// What may go with one of them.
const (
	etagParameter  = "etag"  // with OpComplete
	afterParameter = "after" // with OpList
)

// SplitOperation takes the operation out of a query, at whatever place it is. rest is the
// query of the URL, for ParseURL. The operation's name is "" if there is none. The error is a
// Refusal.
func SplitOperation(query string) (rest string, op Operation, err error) {
	etag, after := false, false
	var kept []string
	for member := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(member, "=")
		switch name {
		case OpStart, OpPart, OpList, OpComplete:
			if op.Name != "" {
				return "", Operation{}, refusePartly("the query asks for two things at once; ask for one of uploads, partNumber, parts and complete")
			}
			op.Name, op.Value = name, value
		case etagParameter:
			if value, err = urlquery.Unescape(value); err != nil || etag {
				return "", Operation{}, refusePartly("etag: want the ETag of the whole object, once")
			}
			op.ETag, etag = strings.Trim(value, `"`), true
		case afterParameter:
			if op.After, err = partNumber(value); err != nil || after {
				return "", Operation{}, refusePartly("after: want the number of a part, once")
			}
			after = true
		default:
			kept = append(kept, member)
		}
	}
	switch {
	case op.Name != OpPart && op.Value != "":
		return "", Operation{}, refusePartly(op.Name + " takes no value")
	case etag && op.Name != OpComplete:
		return "", Operation{}, refusePartly("etag goes with complete alone")
	case after && op.Name != OpList:
		return "", Operation{}, refusePartly("after goes with parts alone")
	case etag && !isUploadETag(op.ETag):
		return "", Operation{}, refusePartly("etag: want the MD5 of the parts' MD5s in hex, - and the number of parts")
	}
	return strings.Join(kept, "&"), op, nil
}

// operation reads the URL and the operation of a request, which must be this one.
func (put Put) operation(region, name string) (URL, Operation, error) {
	rest, op, err := SplitOperation(put.Query)
	if err != nil {
		return URL{}, Operation{}, err
	}
	if op.Name != name {
		return URL{}, Operation{}, refuse(Internal, errors.New("a request for another operation"))
	}
	url, err := ParseURL(put.Path, rest, region)
	return url, op, err
}

// refusePartly refuses a request about parts with this sentence.
func refusePartly(sentence string) error { return &Refusal{Reason: BadPart, Detail: sentence} }
